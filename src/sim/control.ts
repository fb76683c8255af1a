import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'
import type { Account } from './account.ts'
import type { FrameFiles } from './account-files.ts'
import type { Channel } from './channel.ts'
import { PRICE_ONE } from './decimal.ts'
import type { Engine } from './engine.ts'
import { type Faults, type FreezeTarget, HTTP_FAULT_MODES, type HttpFault } from './faults.ts'
import type { SimMarket, Winner } from './market.ts'
import type { World } from './world.ts'

/** One or more commands; several in one object happen in the order written. */
export interface ControlCommand {
  readonly pause?: true
  readonly resume?: true
  /** Frames a second from now on. */
  readonly rate?: number
  /** Exactly so many engine steps, now. */
  readonly step?: number
  readonly createMarket?: true | { readonly count?: number }
  /** Ends trading; the result is proposed and not yet known. */
  readonly closeMarket?: { readonly condition_id?: string }
  /** Without a condition id: some open market. `winner` is an outcome index, a name, or 'split'. */
  readonly resolveMarket?: { readonly condition_id?: string; readonly winner?: 0 | 1 | 'split' | string }
  /** Brings a market's best prices to around `price` (0 to 1). */
  readonly movePrice?: { readonly condition_id?: string; readonly price: number }
  /** Stop generating, send every delayed trade, wait until the kernel has all bytes. */
  readonly drain?: true
  readonly closeConnections?: { readonly code?: number; readonly reason?: string; readonly connections?: number[] }
  readonly freeze?: FreezeTarget
  readonly unfreeze?: true
  readonly httpFault?: HttpFault
  readonly clearHttpFaults?: true
}

export interface ControlParts {
  readonly world: World
  readonly engine: Engine
  readonly channel: Channel
  readonly faults: Faults
  readonly account: Account
  readonly files: FrameFiles | null
  readonly clock: Clock
  readonly signal: AbortSignal
}

export type ControlResult = Readonly<Record<string, unknown>>

/** A command that cannot be carried out as written. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
}

const DRAIN_MS_MAX = 10_000
const DRAIN_LOOK_MS = 5
const CREATE_MAX = 20_000
const STEPS_MAX = 1_000_000
const STEPS_PER_TURN = 50

type Carry = (parts: ControlParts, value: never) => ControlResult | Promise<ControlResult>

const COMMANDS = {
  pause: (parts) => {
    parts.engine.paused = true
    return { paused: true }
  },
  resume: (parts) => {
    parts.engine.paused = false
    return { paused: false }
  },
  rate: (parts, value: number) => {
    if (typeof value !== 'number' || !(value >= 0 && value <= 1_000_000)) throw new ControlError('rate: 0 to 1000000')
    parts.engine.rate = value
    return { rate: value }
  },
  step: async (parts, value: number) => {
    if (!Number.isInteger(value) || value < 0 || value > STEPS_MAX) throw new ControlError(`step: 0 to ${STEPS_MAX}`)
    for (let count = 1; count <= value; count += 1) {
      parts.engine.step(parts.clock.wallMs())
      if (count % STEPS_PER_TURN !== 0 && count !== value) continue
      parts.channel.tick()
      await setImmediate() // let the sockets take it: a burst is not a slow client
    }
    return { steps: value }
  },
  createMarket: (parts, value: true | { count?: number }) => ({ created: createMarkets(parts, value) }),
  closeMarket: (parts, value: { condition_id?: string }) => {
    const market = openMarket(parts.world, value.condition_id)
    parts.world.close(market, parts.clock.wallMs())
    noteLifecycle(parts, 'closed', market)
    return { closed: market.conditionId }
  },
  resolveMarket: (parts, value: { condition_id?: string; winner?: number | string }) => resolveMarket(parts, value),
  movePrice: (parts, value: { condition_id?: string; price: number }) => {
    if (!(value.price > 0 && value.price < 1)) throw new ControlError('movePrice: price between 0 and 1')
    const market = openMarket(parts.world, value.condition_id)
    parts.engine.move(market, Math.round(value.price * PRICE_ONE), parts.clock.wallMs())
    parts.channel.tick()
    return { moved: market.conditionId }
  },
  drain: (parts) => drain(parts),
  closeConnections: (parts, value: { code?: number; reason?: string; connections?: number[] }) => {
    return { ended: parts.channel.end(value.code ?? 1001, value.reason ?? 'going away', value.connections) }
  },
  freeze: (parts, value: FreezeTarget) => {
    parts.faults.freeze(value)
    return { frozen: value }
  },
  unfreeze: (parts) => {
    parts.faults.unfreeze()
    return { frozen: null }
  },
  httpFault: (parts, value: HttpFault) => {
    if (typeof value.path !== 'string') throw new ControlError('httpFault: path is missing')
    if (!HTTP_FAULT_MODES.includes(value.mode)) {
      throw new ControlError(`httpFault: mode must be one of ${HTTP_FAULT_MODES.join(', ')}`)
    }
    parts.faults.addHttp(value)
    return { fault: value }
  },
  clearHttpFaults: (parts) => {
    parts.faults.clearHttp()
    return { faults: 0 }
  },
} satisfies Record<keyof ControlCommand, Carry>

/** Carries out a command object. Throws ControlError when it is not one. */
export async function carryOut(parts: ControlParts, command: unknown): Promise<ControlResult> {
  if (typeof command !== 'object' || command === null || Array.isArray(command)) {
    throw new ControlError('a command is a JSON object')
  }
  let result: ControlResult = {}
  for (const [name, value] of Object.entries(command)) {
    if (!Object.hasOwn(COMMANDS, name)) {
      throw new ControlError(`unknown command ${name}; known: ${Object.keys(COMMANDS).join(', ')}`)
    }
    if (value === null || value === undefined) throw new ControlError(`${name}: a value is missing`)
    const carry = COMMANDS[name as keyof ControlCommand] as Carry
    result = { ...result, ...(await carry(parts, value as never)) }
  }
  return result
}

/** Writes a market's change of state into the account. */
export function noteLifecycle(
  parts: Pick<ControlParts, 'account' | 'clock'>,
  kind: 'created' | 'closed' | 'resolved',
  market: SimMarket,
): void {
  const { conditionId, tokens, winner } = market
  const index = winner === 'split' ? null : winner
  parts.account.lifecycle.push({
    atMs: parts.clock.wallMs(),
    kind,
    conditionId,
    tokens,
    ...(kind === 'resolved'
      ? {
          winningToken: index === null ? null : market.tokens[index],
          winningOutcome: index === null ? null : market.outcomes[index],
        }
      : {}),
  })
}

function createMarkets(parts: ControlParts, value: true | { count?: number }): unknown {
  const count = value === true ? 1 : (value.count ?? 1)
  if (!Number.isInteger(count) || count < 1 || count > CREATE_MAX) {
    throw new ControlError(`createMarket: count from 1 to ${CREATE_MAX}`)
  }
  return Array.from({ length: count }, () => {
    const { conditionId, tokens, outcomes, version } = parts.engine.createMarket(parts.clock.wallMs())
    return { condition_id: conditionId, tokens, outcomes, version }
  })
}

function resolveMarket(parts: ControlParts, value: { condition_id?: string; winner?: number | string }): ControlResult {
  const market = value.condition_id === undefined ? openMarket(parts.world) : parts.world.market(value.condition_id)
  if (market === undefined) throw new ControlError(`unknown market ${value.condition_id}`)
  if (market.resolved) throw new ControlError(`${market.conditionId} has been resolved already`)
  const winner = winnerOf(market, value.winner ?? 0)
  parts.engine.resolveMarket(market, winner, parts.clock.wallMs())
  return {
    resolved: market.conditionId,
    winning_token: winner === 'split' ? null : market.tokens[winner],
    winning_outcome: winner === 'split' ? null : market.outcomes[winner],
  }
}

function winnerOf(market: SimMarket, wanted: number | string): Winner {
  if (wanted === 0 || wanted === 1 || wanted === 'split') return wanted
  const index = market.outcomes.indexOf(String(wanted))
  if (index === 0 || index === 1) return index
  throw new ControlError(`winner must be 0, 1, 'split', '${market.outcomes.join("' or '")}'`)
}

function openMarket(world: World, conditionId?: string): SimMarket {
  const market = conditionId === undefined ? world.open[0] : world.market(conditionId)
  if (market === undefined || market.closed) throw new ControlError(`no open market ${conditionId ?? ''}`)
  return market
}

async function drain(parts: ControlParts): Promise<ControlResult> {
  const { engine, channel, clock, signal } = parts
  engine.paused = true
  engine.flushAll()
  channel.tick()
  const endMs = clock.monotonicMs() + DRAIN_MS_MAX
  const unsent = () => [...channel.connections].some((connection) => connection.ws.bufferedAmount > 0)
  while (unsent() && clock.monotonicMs() < endMs && !signal.aborted) await clock.sleep(DRAIN_LOOK_MS, signal)
  parts.files?.flush()
  return { drained: !unsent(), trades: parts.account.tradesSent, frames: engine.counts.frames }
}

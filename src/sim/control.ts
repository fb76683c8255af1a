import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'
import type { Account } from './account.ts'
import type { FrameFiles } from './account-files.ts'
import type { Channel } from './channel.ts'
import type { DataLimits } from './data-limits.ts'
import { PRICE_ONE } from './decimal.ts'
import type { Engine } from './engine.ts'
import { type Faults, type FreezeTarget, HTTP_FAULT_MODES, type HttpFault } from './faults.ts'
import { type DropFault, SPOILT_KINDS } from './frame-faults.ts'
import type { Journal } from './journal.ts'
import type { SimMarket, Winner } from './market.ts'
import type { NewsFault, SimNews } from './news.ts'
import { NEWS_FAULT_MODES } from './news-faults.ts'
import type { World } from './world.ts'
import { type SimYahoo, YAHOO_FAULT_MODES, type YahooFault } from './yahoo.ts'

/** One or more commands; several in one object happen in the order written. */
export interface ControlCommand {
  readonly pause?: true
  readonly resume?: true
  /** Frames a second from now on. */
  readonly rate?: number
  /** Exactly so many engine steps, now. */
  readonly step?: number
  /** `question`: the venue's users write these, and some of them mean no good. */
  readonly createMarket?: true | { readonly count?: number; readonly question?: string }
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
  /** Tell nobody of so many messages; the account lists them under `account/dropped`. */
  readonly dropFrames?: DropFault
  /** Share of books and changes that go out twice from now on. */
  readonly repeatFrames?: number
  /** Share of frames that change places with the next of their market from now on. */
  readonly reorderFrames?: number
  readonly clearFrameFaults?: true
  /** How far the venue's clock is ahead from now on, seconds; below 0 it is behind. */
  readonly clockSkew?: number
  /** Ends every fault, clock skew included. */
  readonly clearFaults?: true
  /** What the answers about one symbol lack; faults of transport are `httpFault` on `/yahoo/…`. */
  readonly yahooFault?: YahooFault
  readonly clearYahooFaults?: true
  /** A price of null lets the symbol go its own way again. */
  readonly yahooPrice?: { readonly symbol: string; readonly price: number | null }
  /** What the answers of a feed or a page get wrong; faults of transport are `httpFault` on `/news/…`. */
  readonly newsFault?: NewsFault
  readonly clearNewsFaults?: true
  /** Changes what the Data API holds back; `{}` takes every limit away. */
  readonly dataLimits?: Partial<DataLimits>
}

export interface ControlParts {
  readonly world: World
  readonly engine: Engine
  readonly channel: Channel
  readonly faults: Faults
  readonly account: Account
  readonly yahoo: SimYahoo
  readonly news: SimNews
  readonly files: FrameFiles | null
  readonly journal: Journal | null
  readonly clock: Clock
  /** The venue's own time, which may be wrong. Unix ms. */
  venueMs(): number
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
const SKEW_SECONDS_MAX = 86_400
const COUNT_MAX = 1_000_000

type Carry = (parts: ControlParts, value: never) => ControlResult | Promise<ControlResult>

const COMMANDS: Readonly<Record<keyof ControlCommand, Carry>> = {
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
      parts.engine.step(parts.venueMs())
      if (count % STEPS_PER_TURN !== 0 && count !== value) continue
      parts.channel.tick()
      await setImmediate() // let the sockets take it: a burst is not a slow client
    }
    return { steps: value }
  },
  createMarket: (parts, value: true | { count?: number; question?: string }) => ({
    created: createMarkets(parts, value),
  }),
  closeMarket: (parts, value: { condition_id?: string }) => {
    const market = openMarket(parts.world, value.condition_id)
    parts.world.close(market, parts.venueMs())
    noteLifecycle(parts, 'closed', market)
    return { closed: market.conditionId }
  },
  resolveMarket: (parts, value: { condition_id?: string; winner?: number | string }) => resolveMarket(parts, value),
  movePrice: (parts, value: { condition_id?: string; price: number }) => {
    if (!(value.price > 0 && value.price < 1)) throw new ControlError('movePrice: price between 0 and 1')
    const market = openMarket(parts.world, value.condition_id)
    parts.engine.move(market, Math.round(value.price * PRICE_ONE), parts.venueMs())
    parts.channel.tick()
    return { moved: market.conditionId }
  },
  drain: (parts) => drain(parts),
  closeConnections: (parts, value: { code?: number; reason?: string; connections?: number[] }) => {
    return { ended: parts.channel.end(value.code ?? 1001, value.reason ?? 'going away', value.connections) }
  },
  freeze: (parts, value: FreezeTarget) => freeze(parts, value),
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
  dropFrames: (parts, value: DropFault) => {
    if (!SPOILT_KINDS.includes(value.kind)) {
      throw new ControlError(`dropFrames: kind must be one of ${SPOILT_KINDS.join(', ')}`)
    }
    requireWhole('dropFrames: count', value.count)
    requireWhole('dropFrames: every', value.every ?? 1)
    parts.faults.frames.drop(value)
    return { dropping: value }
  },
  repeatFrames: (parts, value: number) => {
    requireShare('repeatFrames', value)
    parts.faults.frames.repeat(value)
    return { repeating: value }
  },
  reorderFrames: (parts, value: number) => {
    requireShare('reorderFrames', value)
    parts.faults.frames.reorder(value)
    return { reordering: value }
  },
  clearFrameFaults: (parts) => {
    parts.faults.frames.clear()
    parts.channel.releaseHeld()
    return { ...parts.faults.frames.counts }
  },
  clockSkew: (parts, value: number) => {
    if (!(Math.abs(value) <= SKEW_SECONDS_MAX)) throw new ControlError(`clockSkew: within ${SKEW_SECONDS_MAX} s`)
    // What is under way was made by the old time and would wait for it for ever.
    parts.engine.flushAll()
    parts.faults.clockSkewSeconds = value
    return { clockSkew: value }
  },
  clearFaults: async (parts) => {
    const http = { clearHttpFaults: true, clearYahooFaults: true, clearNewsFaults: true }
    return await carryOut(parts, { unfreeze: true, ...http, clearFrameFaults: true, clockSkew: 0, dataLimits: {} })
  },
  yahooFault: (parts, value: YahooFault) => {
    if (typeof value.symbol !== 'string') throw new ControlError('yahooFault: symbol is missing')
    if (!YAHOO_FAULT_MODES.includes(value.mode)) {
      throw new ControlError(`yahooFault: mode must be one of ${YAHOO_FAULT_MODES.join(', ')}`)
    }
    parts.yahoo.addFault(value)
    return { fault: value }
  },
  clearYahooFaults: (parts) => {
    parts.yahoo.clearFaults()
    return { faults: 0 }
  },
  yahooPrice: (parts, { symbol, price }: { symbol: string; price: number | null }) => {
    if (typeof symbol !== 'string') throw new ControlError('yahooPrice: symbol is missing')
    if (price !== null && !(price > 0)) throw new ControlError('yahooPrice: a price above 0, or null')
    parts.yahoo.setPrice(symbol, price)
    return { symbol, price }
  },
  newsFault: (parts, value: NewsFault) => {
    if (typeof value.source !== 'string') throw new ControlError('newsFault: source is missing')
    if (!NEWS_FAULT_MODES.includes(value.mode)) {
      throw new ControlError(`newsFault: mode must be one of ${NEWS_FAULT_MODES.join(', ')}`)
    }
    parts.news.addFault(value)
    return { fault: value }
  },
  clearNewsFaults: (parts) => {
    parts.news.clearFaults()
    return { faults: 0 }
  },
  dataLimits: (parts, value: Partial<DataLimits>) => {
    if (!parts.faults.limitData(value)) throw new ControlError('dataLimits: delayMs, v2, pageRows, v1Offset')
    return { data: parts.faults.data }
  },
}

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
    const carry = COMMANDS[name as keyof ControlCommand]
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

function createMarkets(parts: ControlParts, value: true | { count?: number; question?: string }): unknown {
  const { count = 1, question } = value === true ? {} : value
  if (!Number.isInteger(count) || count < 1 || count > CREATE_MAX) {
    throw new ControlError(`createMarket: count from 1 to ${CREATE_MAX}`)
  }
  return Array.from({ length: count }, () => {
    const market = parts.engine.createMarket(parts.venueMs())
    if (question !== undefined) market.question = question
    const { conditionId, tokens, outcomes, version } = market
    return { condition_id: conditionId, tokens, outcomes, version }
  })
}

function resolveMarket(parts: ControlParts, value: { condition_id?: string; winner?: number | string }): ControlResult {
  const market = value.condition_id === undefined ? openMarket(parts.world) : parts.world.market(value.condition_id)
  if (market === undefined) throw new ControlError(`unknown market ${value.condition_id}`)
  if (market.resolved) throw new ControlError(`${market.conditionId} has been resolved already`)
  const winner = winnerOf(market, value.winner ?? 0)
  parts.engine.resolveMarket(market, winner, parts.venueMs())
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

function freeze({ faults, channel }: ControlParts, { token, connections }: FreezeTarget): ControlResult {
  const all = () => [...channel.connections].map((one) => one.account.conn)
  const current = () => (token === undefined ? all() : channel.watching(token))
  const chosen = connections === 'current' ? current() : connections
  faults.freeze(token, chosen)
  return { frozen: { token: token ?? null, connections: chosen ?? 'all' } }
}

function requireWhole(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= COUNT_MAX) return
  throw new ControlError(`${name}: 1 to ${COUNT_MAX}`)
}

function requireShare(name: string, value: number): void {
  if (!(value >= 0 && value <= 1)) throw new ControlError(`${name}: 0 to 1`)
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
  channel.releaseHeld()
  channel.tick()
  const endMs = clock.monotonicMs() + DRAIN_MS_MAX
  const unsent = () => [...channel.connections].some((connection) => connection.ws.bufferedAmount > 0)
  while (unsent() && clock.monotonicMs() < endMs && !signal.aborted) await clock.sleep(DRAIN_LOOK_MS, signal)
  parts.files?.flush()
  parts.journal?.flush()
  return { drained: !unsent(), trades: parts.account.tradesSent, frames: engine.counts.frames }
}

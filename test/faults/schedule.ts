import { type Random, seededRandom } from '../../src/core/random.ts'
import type { ControlCommand } from '../../src/sim/control.ts'
import type { HttpFault } from '../../src/sim/faults.ts'
import type { ProxyCommand } from '../../src/sim/proxy.ts'

/** What happens to the processes and the disk. Times are ms. */
export type ProcessFault =
  | { readonly kind: 'kill daemon'; readonly pauseMs: number; readonly alsoServer: boolean }
  | { readonly kind: 'restart daemon'; readonly pauseMs: number }
  | { readonly kind: 'pause daemon'; readonly forMs: number }
  | { readonly kind: 'kill server' | 'stop server at once' }
  | { readonly kind: 'fill disk'; readonly forMs: number }

/** One fault; `atMs` after the faults begin, or later when the one before it in its lane takes longer. */
export type Step = { readonly atMs: number } & (
  | { readonly lane: 'line'; readonly proxy: ProxyCommand }
  | { readonly lane: 'line'; readonly venue: ControlCommand }
  | { readonly lane: 'processes'; readonly process: ProcessFault }
)

export type ScheduleForm = 'short' | 'long'

/** All that a seed decides, so that a failure can be run again. */
export interface Schedule {
  readonly seed: number
  readonly form: ScheduleForm
  /** Whether data must flow before the faults begin, or they meet the start as well. */
  readonly warm: boolean
  readonly steps: readonly Step[]
  /** When the last fault begins at the latest. */
  readonly windowMs: number
  readonly needsDisk: boolean
}

const WINDOW_MS: Record<ScheduleForm, number> = { short: 4_000, long: 6_000 }
const STEPS: Record<ScheduleForm, readonly [number, number]> = { short: [4, 6], long: [5, 9] }
const PAUSE_MS: Record<ScheduleForm, readonly [number, number]> = { short: [500, 3_000], long: [500, 6_000] }
/** One pause in so many of the long form lasts 20 s. */
const LONG_PAUSE_EVERY = 8
const LONG_PAUSE_MS = 20_000

/** The schedule of a seed: the same for everybody, for ever. */
export function createSchedule(seed: number, form: ScheduleForm): Schedule {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) >>> 0)
  for (let warmUp = 0; warmUp < 4; warmUp += 1) random() // neighbouring seeds begin alike
  const dice = createDice(random)
  const windowMs = WINDOW_MS[form]
  const count = dice.whole(...STEPS[form])
  const warm = !dice.chance(0.15)
  const steps = Array.from({ length: count }, (): Step => {
    const atMs = dice.whole(0, windowMs)
    const lot = random()
    if (lot < 0.4) return { atMs, lane: 'line', proxy: proxyFault(dice) }
    if (lot < 0.72) return { atMs, lane: 'line', venue: venueFault(dice) }
    return { atMs, lane: 'processes', process: processFault(dice, form) }
  })
  // Every schedule hurts both sides: the line, and a process.
  if (!steps.some((step) => step.lane === 'processes')) {
    steps.push({ atMs: dice.whole(0, windowMs), lane: 'processes', process: processFault(dice, form) })
  }
  if (!steps.some((step) => step.lane === 'line')) {
    steps.push({ atMs: dice.whole(0, windowMs), lane: 'line', proxy: proxyFault(dice) })
  }
  steps.sort((one, other) => one.atMs - other.atMs)
  const needsDisk = steps.some((step) => step.lane === 'processes' && step.process.kind === 'fill disk')
  return { seed, form, warm, steps, windowMs, needsDisk }
}

/** One line for each step, for people. */
export function describeSchedule({ seed, form, warm, steps }: Schedule): string[] {
  const first = `seed ${seed}, ${form} form, faults begin ${warm ? 'when data flows' : 'with the start'}`
  return [first, ...steps.map((step) => `  ${String(step.atMs).padStart(5)} ms  ${describeStep(step)}`)]
}

export function describeStep(step: Step): string {
  if (step.lane === 'processes') return JSON.stringify(step.process)
  return 'proxy' in step ? `proxy ${JSON.stringify(step.proxy)}` : `venue ${JSON.stringify(step.venue)}`
}

interface Dice {
  whole(from: number, to: number): number
  chance(share: number): boolean
  pick<T>(items: readonly [T, ...T[]]): T
  /** Two decimals. */
  share(from: number, to: number): number
}

function createDice(random: Random): Dice {
  return {
    whole: (from, to) => from + Math.floor(random() * (to - from + 1)),
    chance: (share) => random() < share,
    pick: (items) => items[Math.floor(random() * items.length)] ?? items[0],
    share: (from, to) => Math.round((from + random() * (to - from)) * 100) / 100,
  }
}

function proxyFault({ whole, pick, share }: Dice): ProxyCommand {
  const kind = 'websocket' as const
  return pick<() => ProxyCommand>([
    () => ({ line: { latencyMs: whole(20, 700), jitterMs: whole(0, 250) } }),
    () => ({ line: { bytesPerSecond: whole(40_000, 200_000) } }),
    () => ({ line: { sliceBytes: whole(16, 300), latencyMs: whole(0, 50) } }),
    () => ({ line: {} }),
    () => ({ reset: { kind, share: share(0.3, 1) } }),
    () => ({ reset: {} }),
    () => ({ halfOpen: { kind, share: share(0.3, 1), direction: pick(['down', 'up', 'both']) } }),
    () => ({ halfOpen: { kind: 'http' } }),
    () => ({ truncate: { kind, share: share(0.3, 1) } }),
    () => ({ truncate: { kind: 'http', bytes: whole(1, 2_000) } }),
    () => ({ refuse: true }),
    () => ({ refuse: false }),
  ])()
}

const PATHS = ['/gamma/', '/clob/books', '/data/', '/'] as const
const MODES = ['html', '425', '429', '500', '502', '503', 'empty', 'empty_page', 'whole_page', 'hang', 'reset'] as const
const DROPPED = ['price_change', 'book', 'last_trade_price'] as const

function venueFault(dice: Dice): ControlCommand {
  const { whole, pick, share } = dice
  return pick<() => ControlCommand>([
    () => ({ freeze: { connections: 'current' } }),
    () => ({ freeze: { token: 'some', connections: 'current' } }),
    () => ({ freeze: { token: 'some', connections: 'current' } }),
    () => ({ freeze: { token: 'some' } }),
    // Of a match that loses one of its fills only reconciliation can tell, hours later.
    () => ({ dropFrames: { kind: pick(DROPPED), count: whole(1, 30), every: whole(1, 5), wholeMatch: true } }),
    () => ({ dropFrames: { kind: pick(DROPPED), count: whole(1, 10), token: 'some', wholeMatch: true } }),
    () => ({ repeatFrames: share(0.05, 0.5) }),
    () => ({ reorderFrames: share(0.02, 0.2) }),
    () => ({ closeConnections: { code: pick([1000, 1001, 1006, 1011, 1012]) } }),
    () => ({ httpFault: httpFault(dice) }),
    () => ({ httpFault: httpFault(dice) }),
    () => ({ clockSkew: whole(-20, 20) }),
    () => ({ createMarket: { count: whole(1, 3) } }),
    () => ({ resolveMarket: { winner: pick([0, 1] as const) } }),
    () => ({ unfreeze: true }),
  ])()
}

function httpFault({ whole, pick, chance }: Dice): HttpFault {
  const fault: HttpFault = { path: pick(PATHS), mode: pick(MODES), count: whole(1, 20) }
  return chance(0.5) ? { ...fault, retryAfter: whole(0, 3) } : fault
}

function processFault({ whole, pick, chance }: Dice, form: ScheduleForm): ProcessFault {
  return pick<() => ProcessFault>([
    () => ({ kind: 'kill daemon', pauseMs: whole(0, 1_500), alsoServer: chance(0.4) }),
    () => ({ kind: 'kill daemon', pauseMs: whole(0, 1_500), alsoServer: chance(0.4) }),
    () => ({ kind: 'restart daemon', pauseMs: whole(0, 500) }),
    () => ({
      kind: 'pause daemon',
      forMs: form === 'long' && whole(1, LONG_PAUSE_EVERY) === 1 ? LONG_PAUSE_MS : whole(...PAUSE_MS[form]),
    }),
    () => ({ kind: 'pause daemon', forMs: whole(...PAUSE_MS[form]) }),
    () => ({ kind: 'kill server' }),
    () => ({ kind: 'stop server at once' }),
    () => ({ kind: 'fill disk', forMs: whole(500, 2_500) }),
  ])()
}

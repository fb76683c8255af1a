import { EXIT, PermanentError } from '../core/errors.ts'

/** Everything that a simulated venue can be told. Shares are 0 to 1, times are ms, sizes bytes. */
export interface VenueOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly seed: number
  /** Simulated markets at start; each has two tokens. */
  readonly markets: number
  /** Share of markets in the V2 form. */
  readonly v2Share: number
  readonly negRiskShare: number
  /** Frames a second over all markets, as a client that subscribes to every token would count them. */
  readonly rate: number
  /** Most price levels a side. */
  readonly levels: number
  /** Most price changes in one engine step; they share one hash, so larger steps cost less. */
  readonly batchMax: number
  /** Share of engine steps that are matches. */
  readonly tradeShare: number
  /** Share of matches that are two identical fills in one millisecond. */
  readonly identicalFillShare: number
  /** Share of price_change and post-trade book frames that are sent twice. */
  readonly repeatShare: number
  /** How long a trade follows its post-trade books: at least, at most. */
  readonly tradeDelayMs: readonly [number, number]
  /** 0: only on command. */
  readonly newMarketEveryMs: number
  readonly resolveEveryMs: number
  /** Start without generating; `resume` begins. */
  readonly paused: boolean
  /** A subscribe frame with more ids ends the connection. */
  readonly maxTokensPerFrame: number
  /** Tokens above this on one connection get no initial book. */
  readonly maxTokensPerConnection: number
  /** A connection that sends no PING for this long is ended; 0 never. */
  readonly heartbeatTimeoutMs: number
  /** A client with more unread bytes than this is ended. */
  readonly bufferLimitBytes: number
  /** Where to keep every frame sent, one file a connection; null keeps none. */
  readonly accountDir: string | null
  /** A recorded frame file to play; null plays none. */
  readonly play: string | null
  /** Factor of the recorded pace; 0 is as fast as possible. */
  readonly playSpeed: number
  /** Files of raw Gamma markets served as they are. */
  readonly playGamma: readonly string[]
}

export const VENUE_DEFAULTS: VenueOptions = {
  host: '127.0.0.1',
  port: 0,
  seed: 1,
  markets: 100,
  v2Share: 0.1,
  negRiskShare: 0.25,
  rate: 50,
  levels: 20,
  batchMax: 6,
  tradeShare: 0.1,
  identicalFillShare: 0.15,
  repeatShare: 0.02,
  tradeDelayMs: [34, 88],
  newMarketEveryMs: 0,
  resolveEveryMs: 0,
  paused: false,
  maxTokensPerFrame: 500,
  maxTokensPerConnection: 500,
  heartbeatTimeoutMs: 30_000,
  bufferLimitBytes: 16 * 1024 * 1024,
  accountDir: null,
  play: null,
  playSpeed: 1,
  playGamma: [],
}

/** What callers give: anything left out, or undefined, is the default. */
export type PartialVenueOptions = { readonly [Key in keyof VenueOptions]?: VenueOptions[Key] | undefined }

interface Range {
  readonly from: number
  readonly to: number
  readonly whole: boolean
}

const SHARE: Range = { from: 0, to: 1, whole: false }

const RANGES: Partial<Record<keyof VenueOptions, Range>> = {
  port: { from: 0, to: 65_535, whole: true },
  seed: { from: 0, to: 0xffff_ffff, whole: true },
  markets: { from: 0, to: 200_000, whole: true },
  v2Share: SHARE,
  negRiskShare: SHARE,
  rate: { from: 0, to: 1_000_000, whole: false },
  levels: { from: 2, to: 500, whole: true },
  batchMax: { from: 1, to: 1_000, whole: true },
  tradeShare: SHARE,
  identicalFillShare: SHARE,
  repeatShare: SHARE,
  newMarketEveryMs: { from: 0, to: 86_400_000, whole: false },
  resolveEveryMs: { from: 0, to: 86_400_000, whole: false },
  maxTokensPerFrame: { from: 1, to: 1_000_000, whole: true },
  maxTokensPerConnection: { from: 1, to: 1_000_000, whole: true },
  heartbeatTimeoutMs: { from: 0, to: 86_400_000, whole: false },
  bufferLimitBytes: { from: 1_024, to: 2 ** 30, whole: true },
  playSpeed: { from: 0, to: 1_000_000, whole: false },
}

/** Fills in the defaults and refuses what is out of range with a PermanentError (usage). */
export function venueOptions(given: PartialVenueOptions): VenueOptions {
  const options: Record<string, unknown> = { ...VENUE_DEFAULTS }
  // A recording is played alone unless markets are asked for.
  if (given.play || (given.playGamma?.length ?? 0) > 0) options['markets'] = 0
  for (const [key, value] of Object.entries(given)) {
    if (!(key in VENUE_DEFAULTS)) throw usage(`unknown option of the simulated venue: ${key}`)
    if (value !== undefined) options[key] = value
  }
  for (const [key, range] of Object.entries(RANGES)) requireInRange(key, options[key], range)
  const resolved = options as unknown as VenueOptions
  const [least, most] = resolved.tradeDelayMs
  if (!(least >= 0 && most >= least && most <= 60_000)) throw usage(`tradeDelayMs must rise within 0 to 60000`)
  return resolved
}

function requireInRange(key: string, value: unknown, range: Range): void {
  const fits = typeof value === 'number' && value >= range.from && value <= range.to
  if (fits && (!range.whole || Number.isInteger(value))) return
  const kind = range.whole ? 'a whole number' : 'a number'
  throw usage(`${key} must be ${kind} from ${range.from} to ${range.to}, not ${String(value)}`)
}

function usage(message: string): PermanentError {
  return new PermanentError(message, { exitCode: EXIT.usage })
}

import { z } from 'zod'
import {
  formatAddress,
  formatDuration,
  formatSize,
  maskDatabaseUrl,
  parseAddress,
  parseDatabaseUrl,
  parseDuration,
  parseSize,
  parseUrl,
} from './values.ts'

/** What the program knows of one key beyond its type: for messages, `tapekeeper config` and the reference. */
export interface KeyFacts {
  readonly about: string
  /** What may be written there, in words. */
  readonly form: string
  /** Other environment variables that set it, strongest first, after the one named like the key. */
  readonly variables?: readonly string[]
  readonly secret?: true
  /** The value as people would write it, from the parsed one. */
  readonly show?: (value: never) => string
  /** Set for keys whose part of the program does not exist yet: names that part. */
  readonly later?: string
}

/** The facts of every key of `SETTINGS`, by its schema. */
export const KEY_FACTS = z.registry<KeyFacts>()

/** Intervals end below the longest timer of Node (2^31 - 1 ms). */
const INTERVAL = { min: '100ms', max: '24d' }
const RETENTION = { min: '1h', max: '36500d' }
/** Rows go by whole days, with their partition. */
const ROW_RETENTION = { min: '1d', max: '36500d' }
const LATER_LOGS = 'storing log lines'
const LATER_API = 'the HTTP API'
const LATER_ASSETS = 'recording asset prices'
const LATER_SIGNALS = 'recording signals'

/** The one schema of everything that can be configured, as people write it: a section is an object, a key a leaf. */
export const SETTINGS = z.strictObject({
  data_dir: text('Where the tape, the embedded database and the lock are.', {
    fallback: './data',
    form: 'a directory',
  }),
  recorder_id: text('Name of this recorder in the ledger. Without one, a name is made once and kept in `data_dir`.', {
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    form: 'up to 64 letters, digits, `.`, `_` and `-`',
  }).optional(),
  database: section({ url: databaseUrl().optional() }),
  health: section({
    host: text('Address of the health listener.', { fallback: '0.0.0.0', form: 'a host name or an IP address' }),
    port: whole('Port of the health listener; 0 takes any free one.', 8080, [0, 65_535], ['HEALTH_PORT', 'PORT']),
    log_interval: duration('How often health is written to the log.', '60s', INTERVAL),
  }),
  api: section({
    address: address('Address of the HTTP API and the page.', '127.0.0.1:8090', LATER_API),
    token: token('Token that programs send as a bearer.', LATER_API).optional(),
    token_file: text('File that holds the token.', { form: 'a file', later: LATER_API }).optional(),
    allowed_hosts: list('Host names that the API answers to, beyond loopback and IP addresses.', LATER_API),
  }),
  log: section({ level: oneOf('How much is logged.', 'info', ['debug', 'info', 'warn', 'error', 'fatal']) }),
  logs: section({ retention: duration('How long stored log lines are kept.', '30d', RETENTION, LATER_LOGS) }),
  storage: section({
    max_bytes: size(
      'Budget of the whole data directory. Tape that the ledger has taken goes first, oldest first.',
      '50GB',
    ),
    tape_max_age: duration('How long tape is kept that the ledger has taken.', '90d', RETENTION),
    rows_max_age: duration('How long raw rows are kept; candles and volumes are kept for ever.', '90d', ROW_RETENTION),
  }),
  polymarket: section({
    enabled: flag('Record Polymarket.', true),
    gamma_url: url('Metadata API (Gamma).', 'https://gamma-api.polymarket.com'),
    clob_url: url('Order-book API (CLOB).', 'https://clob.polymarket.com'),
    data_url: url('Trade history (Data API).', 'https://data-api.polymarket.com'),
    ws_url: url('Market WebSocket channel.', 'wss://ws-subscriptions-clob.polymarket.com/ws/market', ['wss', 'ws']),
    markets_interval: duration('Cadence of market metadata.', '300s', INTERVAL),
    price_interval: duration('Cadence of prices.', '60s', INTERVAL),
    orderbook_interval: duration('Cadence of order books.', '300s', INTERVAL),
    resolution_interval: duration('Cadence of resolutions.', '300s', INTERVAL),
    max_markets: whole('Open markets to follow, by 24 h volume.', 10_000, [1, 100_000]),
    max_tokens_per_connection: whole('Tokens on one WebSocket connection.', 500, [1, 5000]),
    ping_interval: duration('How often a connection is pinged.', '10s', INTERVAL),
    stall_timeout: duration('Silence of a connection that is checked and not believed.', '30s', INTERVAL),
    orderbook_depth: whole('Levels a side of a stored order book.', 20, [1, 1000]),
    markets: critical(),
    prices: critical(),
    orderbooks: critical(),
    resolutions: critical(),
    trades: critical(),
  }),
  assets: section({
    enabled: flag('Record asset prices.', false, LATER_ASSETS),
    price_interval: duration('Cadence of asset prices.', '10m', INTERVAL, LATER_ASSETS),
    yahoo_url: url('Price API.', 'https://query1.finance.yahoo.com', ['https', 'http'], LATER_ASSETS),
  }),
  signals: section({
    enabled: flag('Record signals.', false, LATER_SIGNALS),
    interval: duration('Cadence of the scrapers.', '30m', INTERVAL, LATER_SIGNALS),
    feeds: list('Feeds to read.', LATER_SIGNALS),
  }),
})

/** Every setting, parsed and with defaults: durations in ms, sizes in bytes. */
export type Settings = z.output<typeof SETTINGS>

function section<Shape extends z.core.$ZodShape>(shape: Shape) {
  return z.strictObject(shape)
}

function critical() {
  return section({ critical: flag('Whether health depends on this collector.', true) })
}

interface TextOptions {
  readonly form: string
  readonly fallback?: string
  readonly pattern?: RegExp
  readonly later?: string
}

function text(about: string, { form, fallback, pattern, later }: TextOptions) {
  const checked = z.preprocess(
    (value) => (typeof value === 'number' ? String(value) : value),
    z
      .string(`must be ${form}`)
      .trim()
      .min(1, `must be ${form}`)
      .regex(pattern ?? /^/, `must be ${form}`),
  )
  return keyed(fallback === undefined ? checked : checked.prefault(fallback), { about, form, ...since(later) })
}

function duration(about: string, fallback: string, range: { min: string; max: string }, later?: string) {
  const form = `a duration, ${range.min} to ${range.max}`
  const schema = z
    .preprocess(numberAsText, z.string('is not a duration like 60s, 10m or 30d'))
    .transform(reader(parseDuration))
    .refine((ms) => ms >= parseDuration(range.min) && ms <= parseDuration(range.max), `must be ${form}`)
    .prefault(fallback)
  return keyed(schema, { about, form, show: (ms: number) => formatDuration(ms), ...since(later) })
}

function size(about: string, fallback: string) {
  const form = 'a size like 50GB, 100MB at least'
  const schema = z
    .preprocess(numberAsText, z.string('is not a size like 50GB or 512MiB'))
    .transform(reader(parseSize))
    .refine((bytes) => bytes >= 100e6 && Number.isSafeInteger(bytes), `must be ${form}`)
    .prefault(fallback)
  return keyed(schema, { about, form, show: (bytes: number) => formatSize(bytes) })
}

function whole(about: string, fallback: number, [min, max]: [number, number], variables: readonly string[] = []) {
  const form = `a whole number, ${min} to ${max}`
  const schema = z.preprocess(
    (value) => (typeof value === 'string' && /^\s*\d+\s*$/.test(value) ? Number(value) : value),
    z.int(`must be ${form}`).min(min, `must be ${form}`).max(max, `must be ${form}`),
  )
  return keyed(schema.prefault(fallback), { about, form, variables })
}

function flag(about: string, fallback: boolean, later?: string) {
  const form = '`true` or `false`'
  const schema = z.preprocess((value) => BOOLEANS.get(String(value).trim().toLowerCase()), z.boolean(`must be ${form}`))
  return keyed(schema.prefault(fallback), { about, form, ...since(later) })
}

const BOOLEANS = new Map([
  ...['true', 'yes', 'on', '1'].map((word) => [word, true] as const),
  ...['false', 'no', 'off', '0'].map((word) => [word, false] as const),
])

function oneOf<const Word extends string>(about: string, fallback: NoInfer<Word>, words: readonly Word[]) {
  const form = `one of ${words.join(', ')}`
  return keyed(z.enum(words, `must be ${form}`).prefault(fallback), { about, form })
}

function url(about: string, fallback: string, schemes = ['https', 'http'], later?: string) {
  const form = `a URL (${schemes.join(', ')})`
  const schema = z.string(`must be ${form}`).transform(reader((value) => parseUrl(value, schemes)))
  return keyed(schema.prefault(fallback), { about, form, ...since(later) })
}

function address(about: string, fallback: string, later?: string) {
  const form = 'host:port'
  const schema = z.string('is not an address like 127.0.0.1:8090').transform(reader(parseAddress)).prefault(fallback)
  return keyed(schema, { about, form, show: formatAddress, ...since(later) })
}

function list(about: string, later?: string) {
  const form = 'a list; with commas in a variable'
  const split = (value: unknown) => (typeof value === 'string' ? value.split(',').map((part) => part.trim()) : value)
  const items = z.array(z.string(`must be ${form}`).min(1, `must be ${form}`), `must be ${form}`)
  return keyed(z.preprocess(split, items).prefault([]), { about, form, ...since(later) })
}

function token(about: string, later?: string) {
  const form = 'text of 16 characters or more'
  return keyed(z.string(`must be ${form}`).trim().min(16, `must be ${form}`), {
    about,
    form,
    secret: true,
    show: () => '***',
    ...since(later),
  })
}

function databaseUrl() {
  const schema = z.string('is not a connection string').transform(reader(parseDatabaseUrl))
  return keyed(schema, {
    about: 'PostgreSQL 14 or newer to keep the ledger in. Without one, Tapekeeper runs its own in `data_dir`.',
    form: 'postgres://user:password@host:5432/database',
    variables: ['DATABASE_URL'],
    secret: true,
    show: maskDatabaseUrl,
  })
}

function keyed<Schema extends z.ZodType>(schema: Schema, facts: KeyFacts): Schema {
  KEY_FACTS.add(schema, facts)
  return schema
}

function since(later: string | undefined): Pick<KeyFacts, 'later'> {
  return later === undefined ? {} : { later }
}

/** A number in YAML would otherwise be refused as "not a string", which says nothing about the missing unit. */
function numberAsText(value: unknown): unknown {
  return typeof value === 'number' ? String(value) : value
}

/** Turns a reader that throws into a step of a schema. */
function reader<Out>(read: (text: string) => Out) {
  return (value: string, context: z.RefinementCtx): Out => {
    try {
      return read(value)
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error))
      return z.NEVER
    }
  }
}

import { z } from 'zod'
import { type FeedPlace, parseFeedPlace } from './feeds.ts'
import { type PagePlace, readPages } from './pages.ts'
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
}

/** The facts of every key of `SETTINGS`, by its schema. */
export const KEY_FACTS = z.registry<KeyFacts>()

/** Intervals end below the longest timer of Node (2^31 - 1 ms). */
const INTERVAL = { min: '100ms', max: '24d' }
const RETENTION = { min: '1h', max: '36500d' }
/** Rows go by whole days, with their partition. */
const ROW_RETENTION = { min: '1d', max: '36500d' }
const LIST_FORM = 'a list; with commas in a variable'
/** So that no mistake makes the program busy for ever. */
const LIST_LENGTH_MAX = 1_000
const REQUEST_DELAY = { min: '1ms', max: '1m' }

/** How long trouble and its end may be looked at before they are told. */
const ALERT_TIMES = { min: '0ms', max: '24h' }
const MAIL = /^[^\s@]{1,64}@[^\s@]{1,255}$/

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
    address: address('Address of the HTTP API and the page.', '127.0.0.1:8090'),
    token: token('Token that programs send as a bearer and people sign in with. Needed beyond loopback.').optional(),
    token_file: text('File that holds the token.', { form: 'a file' }).optional(),
    allowed_hosts: list('Host names that the API answers to, beyond loopback and IP addresses.'),
  }),
  log: section({ level: oneOf('How much is logged.', 'info', ['debug', 'info', 'warn', 'error', 'fatal']) }),
  logs: section({ retention: duration('How long stored log lines are kept.', '30d', RETENTION) }),
  alerts: section({
    check_interval: duration('How often health is looked at for alerts.', '15s', { min: '100ms', max: '1h' }),
    open_failures: whole('Failed cycles in a row before the alert of a collector opens.', 3, [1, 1000]),
    open_after: duration('How long trouble has lasted before an alert opens.', '2m', ALERT_TIMES),
    stale_after: duration(
      'Age of the newest useful answer that opens an alert; at least 3 cadences.',
      '10m',
      ALERT_TIMES,
    ),
    close_after: duration('How long all has been well before an alert is told to be over.', '3m', ALERT_TIMES),
    repeat: duration('How often an open alert is told again.', '6h', { min: '1s', max: '24d' }),
    webhook_url: secretUrl('Where alerts are posted as JSON.', ['https', 'http']).optional(),
    slack_url: secretUrl('Incoming webhook of a Slack channel.', ['https', 'http']).optional(),
    telegram_token: secretText('Token of a Telegram bot.').optional(),
    telegram_chat: text('Chat that the bot writes to.', { form: 'a chat id or @name' }).optional(),
    telegram_url: url('Bot API of Telegram.', 'https://api.telegram.org'),
    smtp_url: secretUrl('Mail server, such as smtps://user:password@mail.example.', ['smtps', 'smtp']).optional(),
    email_from: text('Sender of mails.', { form: 'a mail address', pattern: MAIL }).optional(),
    email_to: list('Who gets mails.'),
  }),
  pings: section({
    url: secretUrl('Dead-man’s switch that is pinged on success; `{collector}` in it makes one for each collector.', [
      'https',
      'http',
    ]).optional(),
  }),
  sentry: section({
    dsn: secretUrl('Sentry project for check-ins of collectors and reports of errors.', ['https', 'http']).optional(),
    environment: text('Name of this installation in Sentry.', { fallback: 'production', form: 'a name' }),
  }),
  storage: section({
    max_bytes: size(
      'Budget of the whole data directory. Tape that the ledger has taken goes first, oldest first.',
      '50GB',
    ),
    tape_max_age: duration('How long tape is kept that the ledger has taken.', '90d', RETENTION),
    rows_max_age: duration('How long raw rows are kept; candles and volumes are kept for ever.', '90d', ROW_RETENTION),
  }),
  watchdog: section({
    enabled: flag(
      'End with exit code 70, to be started anew by a supervisor, when nothing moves any more. On in `deploy/`.',
      false,
    ),
    timeout: duration('How long nothing may move.', '60s', { min: '3s', max: '1h' }),
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
    backfill_interval: duration('How often trades that the stream missed are looked for.', '30s', INTERVAL),
    max_markets: whole('Open markets to follow, by 24 h volume.', 10_000, [1, 100_000]),
    max_tokens_per_connection: whole('Tokens on one WebSocket connection.', 500, [1, 5000]),
    ping_interval: duration('How often a connection is pinged.', '10s', INTERVAL),
    stall_timeout: duration('Silence of a connection that is checked and not believed.', '30s', INTERVAL),
    check_percent: whole('Share of the time that checks of book hashes may take, percent.', 15, [0, 100]),
    orderbook_depth: whole('Levels a side of a stored order book.', 20, [1, 1000]),
    markets: critical(),
    prices: critical(),
    orderbooks: critical(),
    resolutions: critical(),
    trades: critical(),
    backfill: section({
      enabled: flag('Fetch trades that the stream has missed from the trade history.', true),
      critical: flag('Whether health depends on this collector.', false),
    }),
  }),
  assets: section({
    enabled: flag('Record the prices of tracked assets and value portfolios.', false),
    price_interval: duration('Cadence of asset prices.', '10m', INTERVAL),
    request_delay: duration('From one request to the price API to the next.', '50ms', REQUEST_DELAY),
    yahoo_url: url('Price API.', 'https://query1.finance.yahoo.com'),
    prices: critical(),
    backfill: section({ critical: flag('Whether health depends on this collector.', false) }),
  }),
  signals: section({
    enabled: flag('Record signals: feeds, Hacker News and pages.', false),
    interval: duration('Cadence of the scrapers.', '30m', INTERVAL),
    feeds: feeds('Feeds to read: addresses, `name=address`, or the name of a preset.'),
    hackernews: section({
      enabled: flag('Read the front page of Hacker News.', true),
      url: url('Its API.', 'https://hacker-news.firebaseio.com/v0'),
    }),
    pages: pages('Web pages to read by CSS selectors.'),
    keywords: list('Words and phrases to look for in signals and in questions of markets; `word=other|other`.'),
    companies: list('Companies to look for, as they write themselves; `Alphabet=Google|GOOGL`.'),
    request_delay: duration('From one request to a host to the next.', '1s', { min: '1ms', max: '5s' }),
    allow_private: flag('Whether addresses that are not on the public internet may be asked.', false),
    scrape: critical(),
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
}

function text(about: string, { form, fallback, pattern }: TextOptions) {
  const checked = z.preprocess(
    (value) => (typeof value === 'number' ? String(value) : value),
    z
      .string(`must be ${form}`)
      .trim()
      .min(1, `must be ${form}`)
      .regex(pattern ?? /^/, `must be ${form}`),
  )
  return keyed(fallback === undefined ? checked : checked.prefault(fallback), { about, form })
}

function duration(about: string, fallback: string, range: { min: string; max: string }) {
  const form = `a duration, ${range.min} to ${range.max}`
  const schema = z
    .preprocess(numberAsText, z.string('is not a duration like 60s, 10m or 30d'))
    .transform(reader(parseDuration))
    .refine((ms) => ms >= parseDuration(range.min) && ms <= parseDuration(range.max), `must be ${form}`)
    .prefault(fallback)
  return keyed(schema, { about, form, show: (ms: number) => formatDuration(ms) })
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

function flag(about: string, fallback: boolean) {
  const form = '`true` or `false`'
  const schema = z.preprocess(readFlag, z.boolean(`must be ${form}`))
  return keyed(schema.prefault(fallback), { about, form })
}

/** Flags and the environment give text, YAML whatever somebody wrote. */
function readFlag(value: unknown): boolean | undefined {
  if (typeof value === 'object') return undefined
  return BOOLEANS.get(String(value).trim().toLowerCase())
}

const BOOLEANS = new Map([
  ...['true', 'yes', 'on', '1'].map((word) => [word, true] as const),
  ...['false', 'no', 'off', '0'].map((word) => [word, false] as const),
])

function oneOf<const Word extends string>(about: string, fallback: NoInfer<Word>, words: readonly Word[]) {
  const form = `one of ${words.join(', ')}`
  return keyed(z.enum(words, `must be ${form}`).prefault(fallback), { about, form })
}

function url(about: string, fallback: string, schemes = ['https', 'http']) {
  const form = `a URL (${schemes.join(', ')})`
  const schema = z.string(`must be ${form}`).transform(reader((value) => parseUrl(value, schemes)))
  return keyed(schema.prefault(fallback), { about, form })
}

function address(about: string, fallback: string) {
  const form = 'host:port'
  const schema = z.string('is not an address like 127.0.0.1:8090').transform(reader(parseAddress)).prefault(fallback)
  return keyed(schema, { about, form, show: formatAddress })
}

function listOfText(form: string) {
  const split = (value: unknown) => (typeof value === 'string' ? value.split(',').map((part) => part.trim()) : value)
  const items = z.array(z.string(`must be ${form}`).min(1, `must be ${form}`), `must be ${form}`)
  return z.preprocess(split, items.max(LIST_LENGTH_MAX, `must have ${LIST_LENGTH_MAX} entries at most`))
}

function list(about: string) {
  return keyed(listOfText(LIST_FORM).prefault([]), { about, form: LIST_FORM })
}

function feeds(about: string) {
  const schema = listOfText(LIST_FORM)
    .transform((texts, context) => texts.map((text) => reader(parseFeedPlace)(text, context)))
    .refine(haveOwnNames, 'must not hold two feeds of one name')
    .prefault([])
  const show = (places: readonly FeedPlace[]) => places.map(({ name, url: at }) => `${name}=${at}`).join(', ')
  return keyed(schema, { about, form: LIST_FORM, show })
}

function pages(about: string) {
  const form = 'a list of `name`, `url`, `item` and, if wanted, `title`, `link`, `summary`, `time`; JSON in a variable'
  const schema = z
    .unknown()
    .transform(reader(readPages))
    .refine(haveOwnNames, 'must not hold two pages of one name')
    .prefault([])
  const show = (places: readonly PagePlace[]) => places.map(({ name, url: at }) => `${name}=${at}`).join(', ')
  return keyed(schema, { about, form, show })
}

function haveOwnNames(places: readonly { readonly name: string }[]): boolean {
  return new Set(places.map((place) => place?.name)).size === places.length
}

function token(about: string) {
  const form = 'text of 16 characters or more'
  return keyed(z.string(`must be ${form}`).trim().min(16, `must be ${form}`), {
    about,
    form,
    secret: true,
    show: () => '***',
  })
}

/** A URL that is itself a secret, or holds one. Never repeated in a message. */
function secretUrl(about: string, schemes: readonly string[]) {
  const form = `a URL (${schemes.join(', ')})`
  const isOne = (value: string) => URL.canParse(value) && schemes.includes(new URL(value).protocol.slice(0, -1))
  const schema = z.string(`must be ${form}`).trim().refine(isOne, `must be ${form}`)
  return keyed(schema, { about, form, secret: true, show: () => '***' })
}

function secretText(about: string) {
  const form = 'text'
  return keyed(z.string(`must be ${form}`).trim().min(6, 'is too short'), {
    about,
    form,
    secret: true,
    show: () => '***',
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

/** A number in YAML would otherwise be refused as "not a string", which says nothing about the missing unit. */
function numberAsText(value: unknown): unknown {
  return typeof value === 'number' ? String(value) : value
}

/** Turns a reader that throws into a step of a schema. */
function reader<In, Out>(read: (value: In) => Out) {
  return (value: In, context: z.RefinementCtx): Out => {
    try {
      return read(value)
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error))
      return z.NEVER
    }
  }
}

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { PermanentError } from '../core/errors.ts'
import { listKeys } from './keys.ts'
import { type ConfigSources, loadConfig } from './load.ts'

type Given = Partial<Pick<ConfigSources, 'flags' | 'env'>> & { readonly files?: Readonly<Record<string, string>> }

const load = ({ flags = {}, env = {}, files = {} }: Given = {}) =>
  loadConfig({ flags, env, cwd: '/work', readFile: (path) => files[path] ?? null })

const yaml = (text: string) => ({ files: { '/work/tapekeeper.yaml': text } })

function refusal(given: Given): string {
  try {
    load(given)
  } catch (error) {
    assert.ok(error instanceof PermanentError, String(error))
    assert.equal(error.exitCode, 78)
    assert.ok(!error.message.includes('\n'), 'one line')
    return error.message
  }
  assert.fail('was accepted')
}

describe('defaults', () => {
  test('are those of the design', () => {
    const { config } = load()
    assert.equal(config.dataDir, '/work/data')
    assert.deepEqual(config.health, { host: '0.0.0.0', port: 8080, logIntervalMs: 60_000 })
    assert.deepEqual(config.api, { host: '127.0.0.1', port: 8090, token: null, allowedHosts: [] })
    const { polymarket } = config
    assert.deepEqual(
      [
        polymarket.marketsIntervalMs,
        polymarket.priceIntervalMs,
        polymarket.orderbookIntervalMs,
        polymarket.resolutionIntervalMs,
      ],
      [300_000, 60_000, 300_000, 300_000],
    )
    assert.deepEqual(
      [polymarket.maxMarkets, polymarket.maxTokensPerConnection, polymarket.orderbookDepth],
      [10_000, 500, 20],
    )
    assert.deepEqual([polymarket.pingIntervalMs, polymarket.stallTimeoutMs], [10_000, 30_000])
    assert.equal(config.logs.retentionMs, 30 * 86_400_000)
    assert.equal(config.storage.rowsMaxAgeMs, 90 * 86_400_000)
    const { backfill, ...others } = polymarket.critical
    assert.deepEqual([backfill, ...Object.values(others)], [false, true, true, true, true, true])
    assert.deepEqual([config.assets.enabled, config.signals.enabled], [false, false])
  })
  test('every key has one variable of its own', () => {
    const variables = listKeys().flatMap((key) => key.variables)
    assert.equal(new Set(variables).size, variables.length)
  })
  test('systemd names the data directory', () => {
    const { config, origins } = load({ env: { STATE_DIRECTORY: '/var/lib/tapekeeper:/var/lib/other' } })
    assert.equal(config.dataDir, '/var/lib/tapekeeper')
    assert.equal(origins.get('data_dir'), 'STATE_DIRECTORY')
    assert.equal(load({ env: { STATE_DIRECTORY: '/a' }, ...yaml('data_dir: b') }).config.dataDir, '/work/b')
  })
})

describe('precedence', () => {
  const file = 'log:\n  level: warn\npolymarket:\n  price_interval: 5s\n  max_markets: 7\n'
  const env = { TAPEKEEPER_LOG_LEVEL: 'error', TAPEKEEPER_POLYMARKET_PRICE_INTERVAL: '6s' }
  test('flags, then environment, then file', () => {
    const { config, origins } = load({ ...yaml(file), env, flags: { logLevel: 'debug' } })
    assert.equal(config.log.level, 'debug')
    assert.equal(config.polymarket.priceIntervalMs, 6000)
    assert.equal(config.polymarket.maxMarkets, 7)
    assert.equal(origins.get('log.level'), '--log-level')
    assert.equal(origins.get('polymarket.price_interval'), 'TAPEKEEPER_POLYMARKET_PRICE_INTERVAL')
    assert.equal(origins.get('polymarket.max_markets'), 'tapekeeper.yaml:5')
    assert.equal(origins.get('polymarket.ws_url'), 'default')
  })
  test('a named flag wins over --set, the last --set over the first', () => {
    const { config } = load({ flags: { dataDir: 'a', set: ['data_dir=b', 'health.port=1', 'health.port=2'] } })
    assert.equal(config.dataDir, '/work/a')
    assert.equal(config.health.port, 2)
  })
  test('--set without a value takes a key back to its default', () => {
    const given = { ...yaml('health: {port: 9}'), env: { DATABASE_URL: 'postgres://u@h/db' } }
    const { config, origins } = load({ ...given, flags: { set: ['database.url=', 'health.port='] } })
    assert.equal(config.database.url, null)
    assert.equal(config.health.port, 8080)
    assert.equal(origins.get('database.url'), 'default')
  })
  test('the port of health: its own name, then HEALTH_PORT, then PORT', () => {
    assert.equal(load({ env: { PORT: '1' } }).config.health.port, 1)
    assert.equal(load({ env: { PORT: '1', HEALTH_PORT: '2' } }).config.health.port, 2)
    assert.equal(load({ env: { PORT: '1', HEALTH_PORT: '2', TAPEKEEPER_HEALTH_PORT: '3' } }).config.health.port, 3)
  })
  test('an empty variable counts as unset', () => {
    assert.equal(load({ env: { HEALTH_PORT: '', DATABASE_URL: ' ' } }).config.health.port, 8080)
  })
})

describe('the file', () => {
  test('may be named by a flag or a variable, and then must be there', () => {
    const files = { '/etc/tk.yaml': 'log: {level: warn}' }
    assert.equal(load({ files, flags: { config: '/etc/tk.yaml' } }).config.log.level, 'warn')
    const loaded = load({ files, env: { TAPEKEEPER_CONFIG: '/etc/tk.yaml' } })
    assert.equal(loaded.file, '/etc/tk.yaml')
    assert.equal(loaded.origins.get('log.level'), '/etc/tk.yaml:1')
    assert.match(refusal({ flags: { config: 'none.yaml' } }), /no configuration file \/work\/none\.yaml/)
  })
  test('may be empty, hold empty sections, dotted keys, anchors and lists', () => {
    assert.equal(load(yaml('')).config.health.port, 8080)
    assert.equal(load(yaml('# nothing\nhealth:\n')).config.health.port, 8080)
    assert.equal(load(yaml('health.port: 9\n')).config.health.port, 9)
    assert.equal(
      load(yaml('health: {log_interval: &i 7s}\npolymarket: {price_interval: *i}')).config.polymarket.priceIntervalMs,
      7000,
    )
    assert.deepEqual(load(yaml('signals:\n  keywords:\n    - one\n    - two words')).config.signals.keywords, [
      'one',
      'two words',
    ])
  })
  test('is refused with its line', () => {
    assert.match(refusal(yaml('log:\n  level: warn\n  level: info')), /^tapekeeper\.yaml:3: /)
    assert.match(refusal(yaml('a: [')), /^tapekeeper\.yaml:1: /)
    assert.match(refusal(yaml('- a')), /^tapekeeper\.yaml:1: the file must hold keys/)
    assert.match(refusal(yaml('\nhealth: 5')), /^tapekeeper\.yaml:2: health is a section/)
    assert.match(refusal(yaml('health:\n  port: 70000')), /^health\.port \(tapekeeper\.yaml:2\) must be a whole number/)
  })
})

describe('an unknown key is refused with the nearest one', () => {
  test('in the file', () => {
    assert.equal(
      refusal(yaml('polymarket:\n  price_intervall: 5s')),
      'tapekeeper.yaml:2: unknown key polymarket.price_intervall (did you mean polymarket.price_interval?)',
    )
    assert.match(refusal(yaml('max_bytes: 5GB')), /did you mean storage\.max_bytes\?/)
  })
  test('in the environment', () => {
    assert.equal(
      refusal({ env: { TAPEKEEPER_POLYMARKET_PRICE_INTERVAL_: '5s' } }),
      'unknown environment variable TAPEKEEPER_POLYMARKET_PRICE_INTERVAL_' +
        ' (did you mean TAPEKEEPER_POLYMARKET_PRICE_INTERVAL?)',
    )
  })
  test('in --set', () => {
    assert.equal(
      refusal({ flags: { set: ['heath.port=1'] } }),
      '--set: unknown key heath.port (did you mean health.port?)',
    )
    assert.match(refusal({ flags: { set: ['health.port'] } }), /--set takes key=value/)
  })
  test('without a guess when nothing is near', () => {
    assert.equal(refusal(yaml('zzzzzz: 1')), 'tapekeeper.yaml:1: unknown key zzzzzz')
  })
})

describe('values', () => {
  test('a duration needs its unit', () => {
    assert.match(
      refusal(yaml('polymarket:\n  price_interval: 60')),
      /^polymarket\.price_interval \(tapekeeper\.yaml:2\) .*for example 60s$/,
    )
    assert.match(refusal({ env: { TAPEKEEPER_HEALTH_LOG_INTERVAL: '1ms' } }), /100ms to 24d/)
  })
  test('a switch is true or false in words', () => {
    for (const word of ['true', 'yes', 'on', '1', 'TRUE']) {
      assert.equal(
        load({ env: { TAPEKEEPER_POLYMARKET_TRADES_CRITICAL: word } }).config.polymarket.critical.trades,
        true,
      )
    }
    assert.equal(load(yaml('polymarket: {enabled: no}')).config.polymarket.enabled, false)
    for (const value of ['maybe', '[true]', '{toString: 0}']) {
      assert.match(refusal(yaml(`polymarket: {enabled: ${value}}`)), /must be `true` or `false`/)
    }
  })
  test('all problems are told at once', () => {
    const message = refusal({ env: { PORT: 'x', TAPEKEEPER_LOG_LEVEL: 'loud' } })
    assert.match(message, /health\.port \(PORT\)/)
    assert.match(message, /log\.level \(TAPEKEEPER_LOG_LEVEL\)/)
  })
  test('feeds that nobody reads are mentioned', () => {
    const { notices } = load({ flags: { set: ['signals.feeds=techcrunch'] } })
    assert.deepEqual(notices, ['signals.feeds (--set) is not read on a schedule: signals.enabled is false'])
    assert.deepEqual(load({ flags: { set: ['signals.feeds=techcrunch', 'signals.enabled=true'] } }).notices, [])
  })
})

describe('feeds and pages', () => {
  const feeds = (...texts: string[]) => load(yaml(`signals: ${JSON.stringify({ feeds: texts })}`)).config.signals.feeds
  const pages = (value: unknown) => load(yaml(`signals: ${JSON.stringify({ pages: value })}`)).config.signals.pages
  test('a feed is an address, a name with one, or a preset', () => {
    const places = feeds(
      'https://www.a.example/x.xml/',
      'own=http://b.example/?q=1',
      'google-news:a b&c',
      'reddit:news',
    )
    assert.deepEqual(places, [
      { name: 'a.example/x.xml', url: 'https://www.a.example/x.xml' },
      { name: 'own', url: 'http://b.example/?q=1' },
      {
        name: 'google-news:a b&c',
        url: 'https://news.google.com/rss/search?q=a%20b%26c&hl=en-US&gl=US&ceid=US:en',
      },
      { name: 'reddit:news', url: 'https://www.reddit.com/r/news/new/.rss' },
    ])
    assert.deepEqual(
      feeds('pr-newswire', 'globenewswire', 'techcrunch', 'product-hunt').map(({ url }) => new URL(url).hostname),
      ['www.prnewswire.com', 'www.globenewswire.com', 'techcrunch.com', 'www.producthunt.com'],
    )
  })
  test('what is no feed is told with what there is', () => {
    for (const [text, message] of [
      ['techcrunsh', /^signals\.feeds \(tapekeeper\.yaml:1\) holds techcrunsh, .* google-news:<query>/],
      ['google-news', /needs a query after google-news:/],
      ['techcrunch:x', /takes nothing after it/],
      ['ftp://a.example', /neither a web address nor/],
      ['https://', /is not a URL/],
    ] as const) {
      assert.match(refusal(yaml(`signals: ${JSON.stringify({ feeds: [text] })}`)), message)
    }
    assert.match(refusal(yaml('signals: {feeds: [a=https://a.example, a=https://b.example]}')), /two feeds of one name/)
  })
  test('a page has a name, an address and selectors', () => {
    const page = { name: 'harbour', url: 'https://h.example/news', item: 'article', title: 'h2' }
    const whole = { ...page, link: null, summary: null, time: null }
    assert.deepEqual(pages([page]), [whole])
    const variable = { TAPEKEEPER_SIGNALS_PAGES: JSON.stringify([page]) }
    assert.deepEqual(load({ env: variable }).config.signals.pages, [whole])
    for (const [value, message] of [
      [{ page }, /must be a list of pages/],
      [[{ ...page, item: undefined }], /page 1 has no item/],
      [[{ ...page, titel: 'h2' }], /page 1 has titel; it may have name/],
      [[{ ...page, item: 5 }], /item must be text/],
      [[page, page], /two pages of one name/],
    ] as const) {
      assert.match(refusal({ env: { TAPEKEEPER_SIGNALS_PAGES: JSON.stringify(value) } }), message)
    }
    assert.match(refusal({ env: { TAPEKEEPER_SIGNALS_PAGES: '[' } }), /as JSON/)
  })
})

describe('secrets', () => {
  const env = { DATABASE_URL: 'postgres://u:hush@h/db', TAPEKEEPER_API_TOKEN: 'hush-hush-hush-hush' }
  test('are there for those who ask', () => {
    const { config } = load({ env })
    assert.equal(config.database.url?.reveal(), env.DATABASE_URL)
    assert.equal(config.api.token?.reveal(), env.TAPEKEEPER_API_TOKEN)
  })
  test('and for nobody else', () => {
    const loaded = load({ env })
    for (const text of [JSON.stringify(loaded), inspect(loaded, { depth: 9 }), `${loaded.config.database.url}`]) {
      assert.ok(!text.includes('hush'), text)
    }
    assert.equal(loaded.settings.find((setting) => setting.key === 'database.url')?.value, 'postgres://u:***@h/db')
  })
  test('a malformed one is not repeated', () => {
    const message = refusal({ env: { DATABASE_URL: 'postgres://u:hu#sh@h/db' } })
    assert.match(message, /^database\.url \(DATABASE_URL\) is not a connection string/)
    assert.ok(!message.includes('hu'))
  })
  test('a token may come from a file, but not from two places', () => {
    const files = { '/run/token': 'a-token-of-some-length\n' }
    const given = { TAPEKEEPER_API_TOKEN_FILE: '/run/token' }
    assert.equal(load({ env: given, files }).config.api.token?.reveal(), 'a-token-of-some-length')
    assert.match(refusal({ env: given }), /there is no file \/run\/token/)
    assert.match(refusal({ env: { ...given, TAPEKEEPER_API_TOKEN: 'x'.repeat(20) }, files }), /not both/)
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Asset, QuoteAttempt } from '../../core/assets.ts'
import { TransientError } from '../../core/errors.ts'
import { createHttpClient } from '../../runtime/http.ts'
import { createRateLimiter } from '../../runtime/rate-limit.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { SimulatedClock } from '../../sim/clock.ts'
import { venueOptions } from '../../sim/options.ts'
import { startVenue, type Venue } from '../../sim/venue.ts'
import { parseHistory, parseQuote } from './decode.ts'
import { askPolitely } from './polite.ts'
import { createYahooClient } from './yahoo-client.ts'
import { createYahooSource } from './yahoo-source.ts'

const SEEN_MS = Date.UTC(2026, 4, 15, 12)
const never = new AbortController().signal

function asset(symbol: string, assetId = 1): Asset {
  return { assetId, symbol, name: symbol, type: 'stock', exchange: null, currency: null }
}

function chart(meta: Record<string, unknown>, result: Record<string, unknown> = {}) {
  const base = { currency: 'USD', symbol: 'AAPL', regularMarketPrice: 187.15, regularMarketTime: SEEN_MS / 1000 - 60 }
  return { chart: { result: [{ meta: { ...base, ...meta }, ...result }], error: null } }
}

function quoteOf(answer: unknown, symbol = 'AAPL') {
  const parsed = parseQuote(answer, symbol, SEEN_MS)
  return parsed.ok ? parsed.value : parsed.reason
}

describe('an answer of the chart API', () => {
  test('gives a price, its time and its currency', () => {
    const quote = quoteOf(chart({ longName: 'Apple Inc.', fullExchangeName: 'NasdaqGS', regularMarketVolume: 12 }))
    assert.deepEqual(quote, {
      atMs: SEEN_MS - 60_000,
      price: '187.15',
      open: null,
      high: null,
      low: null,
      volume: '12',
      currency: 'USD',
      name: 'Apple Inc.',
      exchange: 'NasdaqGS',
    })
  })

  test('in hundredths of a currency is divided exactly', () => {
    const price = (regularMarketPrice: unknown) => {
      const quote = quoteOf(chart({ currency: 'GBp', regularMarketPrice }))
      return typeof quote === 'string' ? quote : `${quote.price} ${quote.currency}`
    }
    assert.deepEqual([7254.5, 5, 0.25, '123456789012.123'].map(price), [
      '72.545 GBP',
      '0.05 GBP',
      '0.0025 GBP',
      '1234567890.12123 GBP',
    ])
  })

  test('that says something else is a reason in words, never a price', () => {
    for (const [answer, reason] of [
      [null, /not a chart/],
      ['<html>', /not a chart/],
      [[], /not a chart/],
      [{ chart: { result: null, error: { code: 'Not Found', description: 'No data found' } } }, /No data found/],
      [{ chart: { result: [], error: null } }, /no result/],
      [chart({ regularMarketPrice: null }), /no price/],
      [chart({ regularMarketPrice: -1 }), /no price/],
      [chart({ regularMarketPrice: 'NaN' }), /no price/],
      [chart({ currency: undefined }), /names no currency/],
      [chart({ currency: 'a word' }), /is in a word/],
      [chart({ symbol: 'MSFT' }), /asked for AAPL, got MSFT/],
    ] as const) {
      const quote = quoteOf(answer)
      assert.match(typeof quote === 'string' ? quote : '', reason)
    }
  })

  test('is never dated later than it was seen, and when it was seen where it has no time', () => {
    for (const regularMarketTime of [SEEN_MS / 1000 + 5_000, undefined, 'now', Number.POSITIVE_INFINITY]) {
      const quote = quoteOf(chart({ regularMarketTime }))
      assert.equal(typeof quote === 'string' ? quote : quote.atMs, SEEN_MS)
    }
  })

  test('has days of the exchange, without those that nobody traded', () => {
    const at = (day: number, hour: number) => Date.UTC(2026, 4, day, hour) / 1000
    const parsed = parseHistory(
      chart(
        { gmtoffset: 9 * 3600 },
        {
          timestamp: [at(11, 0), at(12, 0), at(13, 0), at(13, 6)],
          indicators: {
            quote: [{ close: [10, null, 12, 12.5], open: [9], high: [], volume: [100, null, 300, 400] }],
          },
        },
      ),
      'AAPL',
    )
    assert.ok(parsed.ok)
    const rows = parsed.value.bars.map(({ day, open, close, volume }) => [day, open, close, volume])
    assert.deepEqual(rows, [
      ['2026-05-11', '9', '10', '100'],
      ['2026-05-13', null, '12.5', '400'],
    ])
  })

  test('of any shape never throws', () => {
    const meta = fc.dictionary(
      fc.constantFrom('currency', 'symbol', 'regularMarketPrice', 'regularMarketTime', 'gmtoffset', 'longName'),
      fc.anything(),
    )
    const result = fc.record({ meta, timestamp: fc.anything(), indicators: fc.anything() })
    const answer = fc.oneof(
      fc.anything(),
      fc.record({ chart: fc.anything() }),
      fc.record({ chart: fc.record({ result: fc.array(result), error: fc.anything() }) }),
    )
    fc.assert(
      fc.property(answer, (value) => {
        const quote = parseQuote(value, 'AAPL', SEEN_MS)
        if (quote.ok) assert.ok(Number(quote.value.price) > 0)
        const history = parseHistory(value, 'AAPL')
        if (history.ok) for (const { close } of history.value.bars) assert.ok(Number(close) > 0)
      }),
      { numRuns: 500 },
    )
  })
})

describe('asking with manners', () => {
  const assets = Array.from({ length: 12 }, (_, n) => asset(`S${n}`, n))
  const quote = { atMs: 0, price: '1', currency: 'USD', ...{ open: null, high: null, low: null, volume: null } }
  const answered = { ...quote, name: null, exchange: null }

  async function ask(reply: (asset: Asset, nowMs: number) => number | TransientError, deadlineMs = 480_000) {
    const clock = new SimulatedClock()
    const startsMs: number[] = []
    let underWay = 0
    let mostUnderWay = 0
    const work = askPolitely(assets, { clock, atOnce: 4, delayMs: 50 }, { signal: never, deadlineMs }, async (one) => {
      startsMs.push(clock.monotonicMs())
      underWay += 1
      mostUnderWay = Math.max(mostUnderWay, underWay)
      const answer = reply(one, clock.monotonicMs())
      await clock.sleep(typeof answer === 'number' ? answer : 5, never)
      underWay -= 1
      if (typeof answer !== 'number') throw answer
      return answered
    })
    await clock.advance(600_000)
    return { attempts: await work, startsMs, mostUnderWay }
  }
  const errorsOf = (attempts: readonly QuoteAttempt[]) =>
    attempts.map(({ answer }) => (answer.ok ? 'ok' : answer.error))

  test('keeps the delay and the number of requests under way', async () => {
    const { attempts, startsMs, mostUnderWay } = await ask(() => 1_000)
    assert.deepEqual(errorsOf(attempts), Array(12).fill('ok'))
    assert.equal(mostUnderWay, 4)
    for (const [n, atMs] of startsMs.entries()) assert.ok(n === 0 || atMs - (startsMs[n - 1] ?? 0) >= 50)
  })

  for (const [told, waitMs] of [
    [7_000, 7_000],
    [undefined, 60_000],
  ] as const) {
    test(`waits ${waitMs / 1000} s when limited${told ? '' : ' without being told for how long'}`, async () => {
      let limited = 0
      const { attempts, startsMs } = await ask(() => {
        limited += 1
        return limited === 6 ? new TransientError('429', { rateLimited: true, retryAfterMs: told }) : 5
      })
      assert.deepEqual(
        errorsOf(attempts).filter((one) => one !== 'ok'),
        ['429'],
      )
      assert.equal(attempts.length, 13, 'the limited one was asked for again')
      const pauses = startsMs.flatMap((atMs, n) => (n > 0 && atMs - (startsMs[n - 1] ?? 0) > 1_000 ? [atMs] : []))
      assert.equal(pauses.length, 1)
      assert.equal((pauses[0] ?? 0) - (startsMs[5] ?? 0), waitMs + 5)
    })
  }

  test('gives up a source that limits every time, and says so for each asset', async () => {
    const { attempts, startsMs } = await ask(() => new TransientError('too often', { rateLimited: true }))
    assert.deepEqual(
      startsMs.map((atMs) => Math.floor(atMs / 60_000)),
      [0, 1, 2],
      'one minute after the other',
    )
    assert.equal(attempts.filter(({ answer }) => !answer.ok && answer.error === 'not asked: too often').length, 12)
  })

  test('asks nothing after the deadline', async () => {
    const { attempts, startsMs } = await ask(() => 30_000, 31_000)
    assert.ok(startsMs.every((atMs) => atMs <= 31_000))
    assert.equal(errorsOf(attempts).filter((one) => one === 'not asked: the cycle had no time left').length, 4)
  })
})

describe('the simulated price API', () => {
  async function withVenue(work: (venue: Venue, ask: (symbols: string[]) => Promise<Map<string, string>>) => unknown) {
    const clock = systemClock()
    const venue = await startVenue(venueOptions({ markets: 0, paused: true }), clock)
    const http = createHttpClient({ clock, limiter: createRateLimiter({ clock, rules: [] }), quickRetryDelayMs: 1 })
    const client = createYahooClient(http, venue.urls.yahoo)
    const source = createYahooSource({ client, clock, requestDelayMs: 1 })
    const ask = async (symbols: string[]) => {
      const context = { signal: never, deadlineMs: clock.monotonicMs() + 20_000 }
      const attempts = await source.quotes(symbols.map(asset), context)
      return new Map(
        attempts.map(({ asset: { symbol }, answer }) => [
          symbol,
          answer.ok ? `${answer.quote.price} ${answer.quote.currency}` : answer.error,
        ]),
      )
    }
    try {
      await work(venue, ask)
    } finally {
      await http.close()
      await venue.close()
    }
  }

  test('is read as it was served', async () => {
    await withVenue(async (venue, ask) => {
      await venue.carryOut({ yahooPrice: { symbol: 'VOD.L', price: 72.5 } })
      await venue.carryOut({ yahooPrice: { symbol: 'EURUSD=X', price: 1.08123 } })
      const prices = await ask(['VOD.L', 'EURUSD=X', 'BTC-EUR', 'NOPE1'])
      assert.equal(prices.get('VOD.L'), '0.725 GBP')
      assert.equal(prices.get('EURUSD=X'), '1.08123 USD')
      assert.match(prices.get('BTC-EUR') ?? '', /^\d+(\.\d+)? EUR$/)
      assert.match(prices.get('NOPE1') ?? '', /No data found, symbol may be delisted/)
    })
  })

  test('that misbehaves for one symbol costs that symbol only', async () => {
    await withVenue(async (venue, ask) => {
      const path = (symbol: string) => `/yahoo/v8/finance/chart/${symbol}`
      for (const mode of ['html', '500', 'empty', 'reset'] as const) {
        await venue.carryOut({ httpFault: { path: path(`T-${mode}`.toUpperCase()), mode } })
      }
      const spoilt = ['unknown', 'no-price', 'no-currency', 'no-result', 'other-symbol', 'array'] as const
      for (const mode of spoilt) await venue.carryOut({ yahooFault: { symbol: `Y-${mode}`, mode } })
      const good = ['AAPL', 'MSFT', 'SAP.DE']
      const bad = ['T-HTML', 'T-500', 'T-EMPTY', 'T-RESET', ...spoilt.map((mode) => `Y-${mode}`.toUpperCase())]
      const prices = await ask([...good, ...bad])
      for (const symbol of good) assert.match(prices.get(symbol) ?? '', /^\d+(\.\d+)? (USD|EUR)$/)
      for (const symbol of bad) assert.doesNotMatch(prices.get(symbol) ?? '', /^\d/, symbol)
      assert.match(prices.get('T-HTML') ?? '', /answered 520/)
      const lenient = ['no-times', 'text-numbers'] as const
      for (const mode of lenient) await venue.carryOut({ yahooFault: { symbol: 'AAPL', mode } })
      assert.match((await ask(['AAPL'])).get('AAPL') ?? '', /^\d+(\.\d+)? USD$/)
    })
  })
})

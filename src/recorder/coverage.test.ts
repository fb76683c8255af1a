import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MarketEvent } from '../core/events.ts'
import type { TokenId } from '../core/ids.ts'
import { A, B, C, harness, us } from './coverage-scene.test.ts'
import { suspicionDetail } from './mark-details.ts'

describe('a lost connection', () => {
  test('is a gap from its last line, less the time a message is under way, to each token’s fresh book', () => {
    const { connect, frame, mark, book, gaps, evidence } = harness()
    connect(1, 'one', A, B)
    frame(5, 'one')
    mark(9, 'one', 'close', { code: 1006, reason: '', rtt_ms: 300 })
    assert.deepEqual(gaps(), ['disconnect 11,22 4.7–'])
    mark(10, 'two', 'open')
    mark(10, 'two', 'subscribe', { assets_ids: [A, B] })
    book(11, 'two', A)
    book(11.5, 'two', B)
    assert.match(gaps().join(), /11.*–11\.5|22.*–11\.5/)
    assert.equal(evidence()[0]?.['code'], 1006)
  })

  test('proves a token quiet when the fresh book is the one known last', () => {
    const { connect, mark, book, gaps } = harness()
    connect(1, 'one', A, B)
    mark(2, 'one', 'close')
    book(3, 'two', A, `book ${A} at 1`)
    book(3, 'two', B, 'another')
    assert.deepEqual(gaps(), ['disconnect 11*,22 1–3'])
  })

  test('throws doubt on a token since its own last sign of life, when it did change', () => {
    const { connect, frame, mark, book, gaps } = harness()
    connect(1, 'one', A, B)
    frame(100, 'one') // about other tokens
    book(100, 'one', B)
    mark(101, 'one', 'close')
    book(103, 'two', A)
    book(103, 'two', B)
    assert.deepEqual(gaps().sort(), ['disconnect 11 1–103', 'disconnect 22 100–103'])
  })

  test('is none for tokens that another connection has taken over', () => {
    const { connect, mark, gaps, coverage } = harness()
    connect(1, 'one', A, B)
    mark(5, 'one', 'stall', { silent_ms: 4_000 })
    connect(6, 'two', A)
    mark(7, 'one', 'close', { reason: 'replaced by two' })
    assert.deepEqual(gaps(), ['stall 11,22 1–'])
    coverage.turn(us(9), true)
    assert.deepEqual(gaps(), ['stall 11 1–6', 'stall 22 1–'])
  })

  test('of a planned replacement is no gap at all', () => {
    const { connect, mark, book, gaps } = harness()
    connect(1, 'one', A)
    mark(2, 'two', 'subscribe', { assets_ids: [A] })
    book(2, 'two', A, `book ${A} at 1`)
    mark(3, 'one', 'close', { reason: 'replaced by two' })
    assert.deepEqual(gaps(), [])
  })

  test('is noticed before it is lost when another one knows another book', () => {
    const { connect, frame, gaps } = harness()
    connect(1, 'one', A)
    frame(8, 'one')
    connect(9, 'two', A)
    assert.deepEqual(gaps(), ['stall 11 1–9'])
  })
})

describe('down time', () => {
  test('after a stop in good order is one incident over all connections', () => {
    const { connect, mark, gaps, evidence } = harness()
    connect(1, 'one', A)
    connect(2, 'two', B)
    mark(5, 'one', 'close', { reason: 'stopping' })
    mark(5, 'two', 'close', { reason: 'stopping' })
    mark(5, 'b1', 'stop')
    mark(60, 'b2', 'start')
    assert.deepEqual(gaps(), ['down 11,22 1–'])
    connect(62, 'three', A, B)
    assert.deepEqual(gaps(), ['down 11,22 1–62'])
    assert.equal(evidence()[0]?.['stopped'], true)
    assert.equal(evidence()[0]?.['started_again_us'], us(60))
  })

  test('after a crash begins with the last line', () => {
    const { connect, frame, mark, gaps } = harness()
    connect(1, 'one', A)
    frame(7, 'one')
    mark(60, 'b2', 'start')
    connect(61, 'two', A)
    assert.deepEqual(gaps(), ['down 11 1–61'], 'when the token itself was last heard of')
    const again = harness()
    again.connect(1, 'one', A)
    again.frame(7, 'one')
    again.mark(60, 'b2', 'start')
    again.book(61, 'two', A, `book ${A} at 1`)
    assert.deepEqual(again.gaps(), ['down 11* 4.5–61'], 'when anything was, less what may not have been checked')
  })
})

describe('a restart', () => {
  const change = (token: TokenId, hash: string): MarketEvent => ({
    ...{ kind: 'price_change', market: '0x1', venueMs: 1 },
    changes: [{ token, side: 'BUY', price: '0.5', size: '1', hash, bestBid: null, bestAsk: null }],
  })
  const known = { atUs: us(1), hash: 'proven' }
  /** A recorder that goes on at second 100, with what the tape says of the minute before. */
  function resumed(events: readonly (readonly [second: number, event: MarketEvent])[]) {
    const stage = harness()
    const spans = [{ token: A, startedUs: us(0), connection: 'one', verifiedUs: null, known }]
    stage.coverage.load({ spans, gaps: [], nextNo: 1 }, us(100))
    for (const [second, event] of events) stage.coverage.warm(event, us(second))
    stage.mark(110, 'b2', 'start')
    stage.mark(111, 'two', 'subscribe', { assets_ids: [A] })
    return stage
  }

  test('proves a token quiet when its fresh book is the last that was told and judged', () => {
    const { book, gaps } = resumed([[90, change(A, 'last')]])
    book(112, 'two', A, 'last')
    assert.deepEqual(gaps(), ['down 11* 97.5–112'])
  })

  test('doubts what was told so late that its verdict may be lost: from what was told before', () => {
    const { book, gaps } = resumed([
      [60, change(A, 'judged')],
      [98.5, change(A, 'last')],
    ])
    book(112, 'two', A, 'last')
    assert.deepEqual(gaps(), ['down 11 60–112'])
  })

  test('leaves no gap open of a token that had its book before and is in doubt for another reason', () => {
    const { coverage, mark, book, gaps } = harness()
    const spans = [A, B, C].map((token) => {
      return { token, startedUs: us(0), connection: 'one', verifiedUs: null, known: { atUs: us(96), hash: 'known' } }
    })
    const row = { endedUs: null, quietTokens: [], evidence: {} }
    const lost = { ...row, no: 1, cause: 'disconnect', startedUs: us(90), tokens: [A, B, C] } as const
    const stopped = { ...row, no: 2, cause: 'down', startedUs: us(95), tokens: [A, B] } as const
    coverage.load({ spans, gaps: [stopped, lost], nextNo: 3 }, us(96))
    mark(110, 'b2', 'start')
    mark(111, 'two', 'subscribe', { assets_ids: [A, B] })
    book(112, 'two', A)
    book(112, 'two', B)
    coverage.turn(us(115), true)
    assert.deepEqual(gaps().sort(), ['disconnect 11,22 90–95', 'disconnect 33 90–', 'down 11,22 95–112'])
  })

  test('believes a proof that is younger than what was told', () => {
    const proven = { atUs: us(98), hash: 'proven' }
    const { coverage, mark, book, gaps } = harness()
    const span = { token: A, startedUs: us(0), connection: 'one', verifiedUs: null, known: proven }
    coverage.load({ spans: [span], gaps: [], nextNo: 1 }, us(100))
    coverage.warm(change(A, 'proven'), us(97))
    mark(110, 'b2', 'start')
    book(112, 'two', A, 'proven')
    assert.deepEqual(gaps(), ['down 11* 97.5–112'])
  })
})

describe('verdicts', () => {
  const suspect = (
    cause: string,
    tokens: TokenId[],
    from: number,
    to: number | null,
    verdict: string | null = null,
  ) => ({
    ...{ cause, tokens, from_us: us(from), to_us: to === null ? null : us(to), verdict },
    evidence: { why: 'a test' },
  })

  test('begin as much earlier as messages may be under way', () => {
    const { connect, mark, frame, gaps } = harness()
    connect(1, 'one', A)
    frame(20, 'one')
    mark(21, 'one', 'lag', { rtt_ms: 6_000 })
    mark(22, 'b1', 'suspect', suspect('hash_mismatch', [A], 20, null, 'hashMismatches'))
    assert.deepEqual(gaps(), ['hash_mismatch 11 14–'])
  })

  test('count when they are made, and not again when their line is read', () => {
    const { connect, mark, book, coverage, gaps } = harness()
    connect(3, 'one', A)
    const verdict = { cause: 'stall', tokens: [A], fromUs: us(3), toUs: null, verdict: null, evidence: {} } as const
    coverage.suspect(verdict, us(5))
    assert.deepEqual(gaps(), ['stall 11 3–'])
    book(6, 'one', A)
    mark(7, 'b1', 'suspect', suspicionDetail(verdict))
    assert.deepEqual(gaps(), ['stall 11 3–6'])
    mark(8, 'b1', 'suspect', suspicionDetail(verdict))
    assert.deepEqual(gaps(), ['stall 11 3–6', 'stall 11 6–'], 'another line is another verdict')
  })

  test('a mismatch lasts from the last proof to the fresh book and proves nothing quiet', () => {
    const { connect, mark, book, gaps } = harness()
    connect(1, 'one', A, B)
    mark(9, 'b1', 'suspect', suspect('hash_mismatch', [A], 5, null, 'hashMismatches'))
    assert.deepEqual(gaps(), ['hash_mismatch 11 5–'])
    mark(9.5, 'b1', 'suspect', suspect('stall', [A], 2, null))
    assert.deepEqual(gaps(), ['hash_mismatch 11 5–', 'stall 11 2–5'], 'what is found later began earlier')
    book(10, 'two', A, `book ${A} at 1`)
    assert.deepEqual(gaps(), ['stall 11 2–5', 'hash_mismatch 11 1–10'], 'no star: nothing is proven')
  })

  test('missing trades of one market within a second are one incident', () => {
    const { connect, mark, gaps } = harness()
    connect(1, 'one', A, B)
    mark(4, 'b1', 'suspect', suspect('missing_trade', [A, B], 1, 3))
    mark(5, 'b1', 'suspect', suspect('missing_trade', [A, B], 3.5, 4.5))
    mark(50, 'b1', 'suspect', suspect('missing_trade', [A, B], 47, 49))
    assert.deepEqual(gaps(), ['missing_trade 11,22 1–4.5', 'missing_trade 11,22 47–49'])
  })

  test('what is not a verdict, or about nobody who is followed, changes nothing', () => {
    const { connect, mark, gaps } = harness()
    connect(1, 'one', A)
    mark(2, 'b1', 'suspect', { cause: 'nonsense', tokens: [A], from_us: us(1) })
    mark(2, 'b1', 'suspect', { cause: 'stall', tokens: 'all', from_us: us(1) })
    mark(2, 'b1', 'suspect', { cause: 'stall', tokens: [A], from_us: 'long ago' })
    mark(2, 'b1', 'suspect', suspect('stall', [C], 1, null))
    assert.deepEqual(gaps(), [])
  })
})

describe('what cannot be read', () => {
  test('frames within a minute are one incident of all tokens of their connection', () => {
    const { connect, coverage, gaps, evidence } = harness()
    connect(1, 'one', A, B)
    connect(1, 'two', C)
    for (const second of [10, 20, 69, 200]) coverage.unreadable('one', us(second), 'not JSON')
    assert.deepEqual(gaps(), ['parse_failure 11,22 10–69', 'parse_failure 11,22 200–200'])
    assert.equal(evidence()[0]?.['frames'], 3)
  })

  test('damaged lines are a gap of everybody between the lines around them', () => {
    const { connect, frame, coverage, gaps } = harness()
    connect(1, 'one', A, B)
    frame(3, 'one')
    coverage.damaged(7, us(8))
    assert.deepEqual(gaps(), ['tape_failure 11,22 3–8'])
  })

  test('a tape that takes no frames is a gap from the last line', () => {
    const { connect, mark, book, gaps } = harness()
    connect(1, 'one', A)
    mark(4, 'one', 'refused')
    mark(4, 'one', 'close', { reason: 'the tape takes no frames' })
    book(30, 'two', A)
    assert.deepEqual(gaps(), ['tape_failure 11 1–30'])
  })
})

describe('subscriptions', () => {
  test('without a book after 1 s are one refusal per connection', () => {
    const { mark, book, coverage, gaps } = harness()
    mark(1, 'one', 'subscribe', { assets_ids: [A, B] })
    mark(2, 'two', 'subscribe', { assets_ids: [C] })
    coverage.turn(us(1.9), true)
    assert.deepEqual(gaps(), [])
    coverage.turn(us(3), true)
    assert.deepEqual(gaps(), ['subscribe_refused 11,22 1–', 'subscribe_refused 33 2–'])
    book(20, 'one', A)
    book(20, 'one', B)
    assert.equal(gaps()[0], 'subscribe_refused 11,22 1–20')
  })

  test('end with their token, and so does its doubt', () => {
    const { connect, mark, gaps, spans, store } = harness()
    connect(1, 'one', A, B)
    mark(2, 'one', 'close')
    mark(3, 'two', 'subscribe', { assets_ids: [A, B] })
    mark(4, 'two', 'unsubscribe', { assets_ids: [A] })
    mark(5, 'two', 'close', { reason: 'no tokens left' })
    store()
    assert.deepEqual(spans, ['+11', '+22', '-11', '-22'])
    assert.deepEqual(gaps(), ['disconnect 11,22 1–5'])
  })

  test('on another connection carry a token over', () => {
    const { connect, mark, book, gaps, spans, store } = harness()
    connect(1, 'one', A)
    mark(2, 'two', 'subscribe', { assets_ids: [A] })
    book(2, 'two', A, `book ${A} at 1`)
    mark(3, 'one', 'unsubscribe', { assets_ids: [A] })
    mark(4, 'one', 'close')
    store()
    assert.deepEqual(spans, ['+11'])
    assert.deepEqual(gaps(), [])
    mark(5, 'two', 'close')
    assert.deepEqual(gaps(), ['disconnect 11 2–'])
  })

  test('of a token that was dropped while nothing was connected end when its source says so', () => {
    const { connect, mark, coverage, gaps, spans, store } = harness({ isFollowed: (token) => token !== A })
    connect(1, 'one', A, B)
    mark(2, 'one', 'close')
    coverage.turn(us(300), true)
    store()
    assert.deepEqual(spans, ['+11', '+22', '-11'])
    coverage.turn(us(303), true)
    assert.deepEqual(gaps(), ['disconnect 11 1–300', 'disconnect 22 1–'])
  })
})

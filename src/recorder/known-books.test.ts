import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SpanChange } from '../core/coverage.ts'
import { A, B, C, harness, snapshot, us } from './coverage-scene.test.ts'

describe('a verdict that is still due', () => {
  /** Stops while it is due whether A missed something since second 2; returns what the next start would load. */
  function stopped() {
    const { coverage, connect, book, mark } = harness({ undecidedSince: (token) => (token === A ? us(2) : null) })
    connect(1, 'one', A, B)
    book(4, 'one', A)
    book(4, 'one', B)
    coverage.verified(A, us(5), 'fetched')
    coverage.verified(B, us(5), 'fetched')
    mark(6, 'one', 'close', { reason: 'stopping' })
    mark(6, 'b1', 'stop')
    const { gaps, spans } = coverage.take() ?? { gaps: [], spans: [] }
    const of = (token: string) => spans.find((span) => span.token === token) as SpanChange
    const resumed = harness()
    resumed.coverage.load(
      {
        gaps,
        nextNo: 2,
        spans: [A, B].map((token) => {
          const { verifiedUs, known } = of(token)
          return { token, startedUs: us(1), connection: 'one', verifiedUs: verifiedUs ?? null, known: known ?? null }
        }),
      },
      us(6),
    )
    resumed.coverage.warm(snapshot(A, 'told at 3'), us(3))
    resumed.mark(10, 'b2', 'start')
    resumed.mark(11, 'two', 'subscribe', { assets_ids: [A, B] })
    return resumed
  }

  test('makes the gap of a stop begin at the last certain moment', () => {
    const { book, gaps } = stopped()
    book(12, 'two', A, 'new')
    book(12, 'two', B, 'new')
    assert.deepEqual(gaps().sort(), ['down 11 2–12', 'down 22 4–12'])
  })

  test('cannot be made good by what the tape told since, read again, nor by a fetched book', () => {
    const { book, gaps } = stopped()
    book(12, 'two', A, 'told at 3')
    assert.match(gaps().join(), /down 11 2–12/)
    const { coverage, connect } = harness({ undecidedSince: (token) => (token === A ? us(2) : null) })
    connect(1, 'one', A, B)
    for (const token of [A, B]) coverage.verified(token, us(5), 'fetched')
    const proven = coverage.take()?.spans.filter(({ verifiedUs }) => verifiedUs !== undefined)
    assert.deepEqual(
      proven?.map(({ token }) => token),
      [B],
    )
  })

  test('cannot be made good by an equal book', () => {
    const { book, gaps } = stopped()
    book(12, 'two', A, `book ${A} at 4`)
    book(12, 'two', B, `book ${B} at 4`)
    assert.deepEqual(gaps().sort(), ['down 11 2–12', 'down 22* 4–12'])
  })
})

describe('a token that lags behind', () => {
  test('was last known to be good when it was last heard of, whatever its connection said since', () => {
    const { coverage, connect, book, frame, mark, gaps } = harness()
    connect(1, 'one', A, B, C)
    for (const second of [20, 40]) for (const token of [A, B]) book(second, 'one', token)
    frame(41, 'one')
    mark(42, 'one', 'close', { code: 1006 })
    mark(43, 'two', 'open')
    mark(43, 'two', 'subscribe', { assets_ids: [A, B, C] })
    book(44, 'two', A)
    book(44, 'two', B)
    coverage.turn(us(47), true)
    assert.deepEqual(gaps().sort(), ['disconnect 11,22 41–44', 'disconnect 33 1–'])
  })

  test('and is dropped has a gap since then', () => {
    const { connect, frame, mark, gaps } = harness()
    connect(1, 'one', A)
    frame(41, 'one')
    mark(42, 'one', 'close', { code: 1006 })
    mark(43, 'two', 'subscribe', { assets_ids: [A] })
    mark(50, 'two', 'unsubscribe', { assets_ids: [A] })
    assert.deepEqual(gaps(), ['disconnect 11 1–50'])
  })
})

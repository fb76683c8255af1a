import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ORDINAL_WINDOW_US, Ordinals } from './ordinals.ts'

test('identical events of one connection are numbered; other connections and contents count for themselves', () => {
  const ordinals = new Ordinals()
  assert.equal(ordinals.next('one', 'aa', 1), 0)
  assert.equal(ordinals.next('one', 'aa', 1), 1)
  assert.equal(ordinals.next('two', 'aa', 2), 0)
  assert.equal(ordinals.next('one', 'bb', 2), 0)
  assert.equal(ordinals.next('one', 'aa', 3), 2)
})

test('what is a minute old is forgotten', () => {
  const ordinals = new Ordinals()
  ordinals.next('one', 'aa', 0)
  ordinals.next('one', 'aa', 10)
  assert.equal(ordinals.next('one', 'aa', ORDINAL_WINDOW_US - 1), 2)
  assert.equal(ordinals.next('one', 'aa', ORDINAL_WINDOW_US), 2)
  assert.equal(ordinals.next('one', 'aa', 10 * ORDINAL_WINDOW_US), 0)
  assert.equal(ordinals.size, 1)
})

test('memory is bounded, and what that costs is counted', () => {
  const ordinals = new Ordinals(10)
  for (let index = 0; index < 25; index += 1) ordinals.next('one', String(index), index)
  assert.equal(ordinals.size, 10)
  assert.equal(ordinals.overflow, 15)
})

test('a long run keeps nothing that is over', () => {
  const ordinals = new Ordinals()
  for (let index = 0; index < 10_000; index += 1) ordinals.next('one', String(index % 7), index * 1_000_000)
  assert.ok(ordinals.size <= 60)
})

test('reading back one minute before any place restores the state there', () => {
  const event = fc.record({
    connection: fc.constantFrom('one', 'two'),
    content: fc.constantFrom('aa', 'bb', 'cc'),
    afterUs: fc.integer({ min: 0, max: 30_000_000 }),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), fc.nat(60), (events, cutAt) => {
      let atUs = 1_790_000_000_000_000
      const tape = events.map(({ connection, content, afterUs }) => {
        atUs += afterUs
        return { connection, content, atUs }
      })
      const continuous = new Ordinals()
      const expected = tape.map((item) => continuous.next(item.connection, item.content, item.atUs))
      const cut = Math.min(cutAt, tape.length)
      const positionUs = tape[cut - 1]?.atUs ?? 0
      const warmed = new Ordinals()
      for (const item of tape.slice(0, cut)) {
        if (item.atUs >= positionUs - ORDINAL_WINDOW_US) warmed.next(item.connection, item.content, item.atUs)
      }
      const actual = tape.slice(cut).map((item) => warmed.next(item.connection, item.content, item.atUs))
      assert.deepEqual(actual, expected.slice(cut))
    }),
    { numRuns: 300 },
  )
})

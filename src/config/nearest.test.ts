import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { editDistance, nearest } from './nearest.ts'

test('distances', () => {
  assert.equal(editDistance('kitten', 'sitting'), 3)
  assert.equal(editDistance('', 'abc'), 3)
  assert.equal(editDistance('same', 'same'), 0)
})

test('a distance is symmetric and at most the longer length', () => {
  const word = fc.string({ maxLength: 12 })
  fc.assert(
    fc.property(word, word, (from, to) => {
      const distance = editDistance(from, to)
      assert.equal(distance, editDistance(to, from))
      assert.ok(distance <= Math.max(from.length, to.length))
      assert.equal(distance === 0, from === to)
    }),
  )
})

test('one wrong letter is found, nonsense is not', () => {
  assert.equal(nearest('prise_interval', ['price_interval', 'ping_interval']), 'price_interval')
  assert.equal(nearest('qqqq', ['price_interval']), null)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJson } from './parse-json.ts'

test('what others send is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.json({ depthSize: 'large' }), (text) => {
      assert.deepEqual(parseJson(text), JSON.parse(text))
    }),
    { numRuns: 300 },
  )
  assert.throws(() => parseJson('{'), SyntaxError)
})

test('nesting ends at 100 levels, and what stands beside it stays', () => {
  const nested = (levels: number) => `${'['.repeat(levels)}1${']'.repeat(levels)}`
  const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
  assert.equal(JSON.stringify(parseJson(nested(100))), nested(100))
  assert.match(JSON.stringify(parseJson(nested(101))), /^\[{100}"\[nested deeper than 100 levels]"]{100}$/)
  for (const deep of [nested(200_000), objects(200_000)]) {
    const text = JSON.stringify(parseJson(`[${deep},{"id":"7"}]`))
    assert.ok(text.length < 1_500)
    assert.match(text, /nested deeper.*{"id":"7"}]$/)
  }
})

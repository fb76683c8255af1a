import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isoTime, rawText, textArray } from './json-values.ts'

test('lists come as arrays or as text holding JSON', () => {
  assert.deepEqual(textArray('["Yes", "No"]'), ['Yes', 'No'])
  assert.deepEqual(textArray(['Yes', 'No']), ['Yes', 'No'])
  assert.deepEqual(textArray('[]'), [])
  assert.deepEqual(textArray([0.5, 1e-7]), ['0.5', '0.0000001'])
})

test('numbers inside text keep every digit', () => {
  const id = '72690798903588392269001731007662425920353908498880709179939493847828858696064'
  assert.deepEqual(textArray(`[${id}, ${id}]`), [id, id])
  assert.deepEqual(textArray('[0.99999999999999999999, 0]'), ['0.99999999999999999999', '0'])
})

test('what floating point has damaged already is not a list of texts', () => {
  assert.equal(textArray([7.269079890358839e76]), null)
})

test('anything else is null', () => {
  for (const value of [null, undefined, 5, {}, 'Yes', '{"a":1}', '[1, "a"', '["a", null]', '[["a"]]']) {
    assert.equal(textArray(value), null, JSON.stringify(value))
  }
})

test('the time forms of the venue become ISO 8601 in UTC', () => {
  const cases: [unknown, string | null][] = [
    ['2026-07-24T00:00:00Z', '2026-07-24T00:00:00Z'],
    ['2026-07-23T02:48:35.302901Z', '2026-07-23T02:48:35.302901Z'],
    ['2026-07-24 00:00:16+00', '2026-07-24T00:00:16Z'],
    ['2026-07-24 00:00:16.5+00:00', '2026-07-24T00:00:16.5Z'],
    ['2026-07-24 01:30:16+0130', '2026-07-24T00:00:16Z'],
    ['2026-07-23 22:00:00-02', '2026-07-24T00:00:00Z'],
    ['2026-07-24', '2026-07-24T00:00:00Z'],
    ['2026-13-24', null],
    ['yesterday', null],
    ['', null],
    [1_700_000_000, null],
  ]
  for (const [value, expected] of cases) assert.equal(isoTime(value), expected, String(value))
})

test('raw text is cut', () => {
  assert.equal(rawText({ a: 'x'.repeat(100) }, 10), '{"a":"xxxx…')
})

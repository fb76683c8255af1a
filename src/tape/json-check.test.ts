import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isJsonLine } from './json-check.ts'

function check(text: string): boolean {
  const bytes = Buffer.from(text)
  return isJsonLine(bytes, 0, bytes.length)
}

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

test('accepts and refuses what the grammar says', () => {
  const good = ['0', '-0', '1.5e+10', '"x"', '""', 'true', 'false', 'null', '[]', '{}', ' [1, 2 ]\t', '{"a":{"b":[]}}']
  const strings = ['"\\u00e9\\n\\/"', '"é"', '"\u2028"', '{"a":1,"a":2}', '"\u007f"']
  for (const text of [...good, ...strings]) assert.equal(check(text), true, text)
  const bad = [
    '',
    ' ',
    '01',
    '-',
    '1.',
    '.5',
    '1e',
    '+1',
    'tru',
    'nulll',
    '[1,]',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '[1 2]',
  ]
  const worse = [
    '"',
    '"\\x"',
    '"\\u12g4"',
    '"\t"',
    "'x'",
    '{a:1}',
    '[}',
    '{]',
    ']',
    '1 1',
    '\ufeff{}',
    'NaN',
    '"\\',
    '{"a":1',
  ]
  for (const text of [...bad, ...worse]) assert.equal(check(text), false, text)
})

test('refuses line breaks, which JSON allows between values', () => {
  assert.equal(check('{"a":\n1}'), false)
  assert.equal(check('[]\r'), false)
})

test('accepts 512 levels and refuses 513', () => {
  assert.equal(check('['.repeat(512) + ']'.repeat(512)), true)
  assert.equal(check('['.repeat(513) + ']'.repeat(513)), false)
  assert.equal(check('{"a":'.repeat(512) + 1 + '}'.repeat(512)), true)
  assert.equal(check('{"a":'.repeat(513) + 1 + '}'.repeat(513)), false)
})

test('does not look beyond the end it was given', () => {
  const bytes = Buffer.from('xx{"a":"b"}"}12345')
  assert.equal(isJsonLine(bytes, 2, 11), true)
  assert.equal(isJsonLine(bytes, 2, 10), false)
  assert.equal(isJsonLine(bytes, 2, 12), false)
  assert.equal(isJsonLine(Buffer.from('123"\\u00'), 0, 3), true)
  assert.equal(isJsonLine(Buffer.from('"\\u00e9"'), 0, 5), false)
})

/** Characters at which grammars break. */
const FRAGMENTS = [
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '0',
  '1',
  '-',
  '.',
  'e',
  '+',
  't',
  'null',
  ' ',
  '\t',
  'é',
  '\u0000',
  '\\u',
]

test('agrees with JSON.parse on mutated JSON', () => {
  const mutation = fc.record({ at: fc.nat(), cut: fc.nat(3), insert: fc.constantFrom('', ...FRAGMENTS) })
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), fc.array(mutation, { maxLength: 3 }), (json, mutations) => {
      let text = json
      for (const { at, cut, insert } of mutations) {
        const place = at % (text.length + 1)
        text = text.slice(0, place) + insert + text.slice(place + cut)
      }
      // Half a surrogate pair has no UTF-8 form: compare what the bytes say.
      text = Buffer.from(text).toString()
      assert.equal(check(text), parses(text) && !/[\n\r]/.test(text), JSON.stringify(text))
    }),
    { numRuns: 3000 },
  )
})

test('agrees with JSON.parse on sequences of tokens', () => {
  const token = fc.constantFrom('"a"', '1', '-2.5e3', 'true', 'null', ...FRAGMENTS)
  fc.assert(
    fc.property(fc.array(token, { maxLength: 9 }), (tokens) => {
      const text = tokens.join('')
      assert.equal(check(text), parses(text), JSON.stringify(text))
    }),
    { numRuns: 5000 },
  )
})

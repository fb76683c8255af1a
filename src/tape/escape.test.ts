import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { escapedLength, readEscaped, writeEscaped } from './escape.ts'

function escaped(payload: Buffer): Buffer {
  const out = Buffer.alloc(escapedLength(payload))
  assert.equal(writeEscaped(payload, out, 0), out.length)
  return out
}

function unescaped(json: string): string | null {
  const bytes = Buffer.from(`x${json}x`)
  return readEscaped(bytes, 1, bytes.length - 1)?.toString() ?? null
}

test('what is written is what JSON.stringify writes, and it comes back', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'\0\b\t\n\v\f\r\x1f"\\/\x7f\u2028é😀') }),
  )
  fc.assert(
    fc.property(text, (value) => {
      const payload = Buffer.from(value) // lone surrogates are gone from here on
      const json = JSON.stringify(payload.toString())
      assert.equal(`"${escaped(payload).toString()}"`, json)
      assert.equal(unescaped(json), payload.toString())
    }),
    { numRuns: 500 },
  )
})

test('a text of many pieces is cut between characters only', () => {
  for (const unit of ['é', '€', '😀', '\\', '"', '\u0001', 'a\u0001', 'ab😀']) {
    const text = 'x'.repeat(unit.length) + unit.repeat(Math.ceil((3 << 20) / unit.length))
    assert.ok(unescaped(JSON.stringify(text)) === text, JSON.stringify(unit))
  }
  const twice = `"x${'\\ud83d\\ude00'.repeat(300_000)}"`
  assert.ok(unescaped(twice) === JSON.parse(twice), 'a character of two escapes')
})

test('what is no JSON string is null', () => {
  for (const json of ['', '"', 'abc', '"a', 'a"', '"\\x"', '"a"b"', '"\n"', '1']) {
    assert.equal(unescaped(json), null, json)
  }
})

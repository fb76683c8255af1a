import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareDecimals, decimalText, midpointOf, subtractDecimals, trimDecimal } from './decimal.ts'

const units = fc.integer({ min: -1_000_000_000, max: 1_000_000_000 })
const scale = fc.integer({ min: 0, max: 9 })
/** The number `units / 10^scale` as text, padded with zeros at random. */
const decimals = fc
  .tuple(units, scale, fc.integer({ min: 0, max: 3 }))
  .map(([whole, places, zeros]) => ({ whole, places, text: textOf(whole, places, zeros) }))

function textOf(whole: number, places: number, zeros: number): string {
  const digits = String(Math.abs(whole)).padStart(places + 1, '0')
  const point = digits.length - places
  const fraction = digits.slice(point) + '0'.repeat(zeros)
  return `${whole < 0 ? '-' : ''}${digits.slice(0, point)}${fraction === '' ? '' : `.${fraction}`}`
}

const scaled = ({ whole, places }: { whole: number; places: number }) => BigInt(whole) * 10n ** BigInt(9 - places)

test('what JSON writes as a number comes out as plain decimal text', () => {
  const cases: [unknown, string | null][] = [
    [5, '5'],
    [0.001, '0.001'],
    [1e-7, '0.0000001'],
    [2.5e-7, '0.00000025'],
    [1e21, '1000000000000000000000'],
    ['1.5e3', '1500'],
    ['-2.5E-2', '-0.025'],
    [' 0.50 ', '0.50'],
    [79945.98005599984, '79945.98005599984'],
    ['79945.98005599984', '79945.98005599984'],
    ['', null],
    ['0x10', null],
    ['1.', null],
    ['.5', null],
    [Number.NaN, null],
    [Number.POSITIVE_INFINITY, null],
    [null, null],
    [true, null],
    ['9'.repeat(1000), null],
  ]
  for (const [value, expected] of cases) assert.equal(decimalText(value), expected, String(value))
})

test('every finite number survives as text', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 }), (value) => {
      const text = decimalText(value)
      assert.ok(text !== null && /^-?\d+(\.\d+)?$/.test(text), String(text))
      assert.equal(Number(text), value === 0 ? Number(text) : value)
    }),
    { numRuns: 500, verbose: 1 },
  )
})

test('order, difference and midpoint are those of exact arithmetic', () => {
  fc.assert(
    fc.property(decimals, decimals, (a, b) => {
      const [left, right] = [scaled(a), scaled(b)]
      assert.equal(Math.sign(compareDecimals(a.text, b.text)), left < right ? -1 : left > right ? 1 : 0)
      assert.equal(scaledText(subtractDecimals(a.text, b.text)), (left - right) * 10n)
      assert.equal(scaledText(midpointOf(a.text, b.text)), (left + right) * 5n)
    }),
    { numRuns: 500, verbose: 1 },
  )
})

/** In units of 10^-10. */
function scaledText(text: string): bigint {
  const [whole = '0', fraction = ''] = text.split('.')
  return BigInt(whole + fraction.padEnd(10, '0'))
}

test('equal values with different digits are equal, near ones are not', () => {
  assert.equal(compareDecimals('1', '1.000'), 0)
  assert.ok(compareDecimals('0.99999999999999999999999999999', '1') < 0)
  assert.ok(compareDecimals('1.00000000000000000000000000001', '1') > 0)
})

test('trimming takes zeros away and nothing else', () => {
  assert.deepEqual(['5.0', '0.010', '007.10', '-0', '0', '100'].map(trimDecimal), ['5', '0.01', '7.1', '0', '0', '100'])
})

import assert from 'node:assert/strict'

/** Where a trade stands among a tape's lines, some way into the recording. */
export function tradeLine(lines: readonly string[]): number {
  const index = lines.findIndex(
    (line, at) => at > 200 && line.includes('"last_trade_price"') && line.includes('"price":"'),
  )
  assert.ok(index > 0)
  return index
}

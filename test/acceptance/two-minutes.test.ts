import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordAndCompare } from '../support/scenario.ts'

test('2,000 tokens and 1,000 events a second for two minutes equal the account of the venue', async (t) => {
  const figures = await recordAndCompare({ markets: 1_000, rate: 1_000, seconds: 120, seed: 2 })
  t.diagnostic(JSON.stringify(figures))
  assert.ok(figures.frames > 90_000, `only ${figures.frames} frames`)
})

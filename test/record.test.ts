import { test } from 'node:test'
import { recordAndCompare } from './support/scenario.ts'

test('a short recording equals the account of the venue', { timeout: 120_000 }, async (t) => {
  const figures = await recordAndCompare({ markets: 60, rate: 300, seconds: 15, seed: 11 })
  t.diagnostic(JSON.stringify(figures))
})

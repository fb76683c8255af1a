import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forecast, growthOf, type StorageFacts } from './forecast.ts'

const DAY_MS = 86_400_000
const NOW_MS = Date.parse('2026-05-01T00:00:00Z')
const facts: StorageFacts = {
  ...{ nowMs: NOW_MS, tapeBytes: 8e9, ledgerBytes: 2e9, tapeGrowth: 3e9, ledgerGrowth: 1e9 },
  ...{ freeBytes: 200e9, maxBytes: 50e9 },
}

function days(ms: number | null): number | null {
  return ms === null ? null : (ms - NOW_MS) / DAY_MS
}

describe('the forecast', () => {
  test('names the day on which the budget is used up', () => {
    const { growth, budgetMs, fullMs } = forecast(facts)
    assert.deepEqual([growth, days(budgetMs), fullMs], [4e9, 10, null])
  })

  test('names the day on which the disk is full, when that comes first', () => {
    assert.equal(days(forecast({ ...facts, freeBytes: 20e9 }).fullMs), 5)
    assert.equal(days(forecast({ ...facts, freeBytes: 0 }).fullMs), 0)
  })

  test('says nothing without history or growth, nor about a time beyond ten years', () => {
    const nothing = { ...facts, tapeGrowth: null, ledgerGrowth: null }
    assert.deepEqual(forecast(nothing), { growth: null, budgetMs: null, fullMs: null })
    assert.equal(forecast({ ...facts, tapeGrowth: 0, ledgerGrowth: 0 }).budgetMs, null)
    assert.equal(forecast({ ...facts, tapeGrowth: 1, ledgerGrowth: null }).budgetMs, null)
  })

  test('a budget that is used up already is used up now', () => {
    assert.equal(days(forecast({ ...facts, tapeBytes: 60e9 }).budgetMs), 0)
  })
})

test('growth is what the parts add up to over the time they span', () => {
  const part = (daysAgo: number, bytes: number) => ({ atMs: NOW_MS - daysAgo * DAY_MS, bytes })
  assert.equal(growthOf([part(4, 100), part(2, 200), part(1, 100)], NOW_MS, 0), 100)
  assert.equal(growthOf([part(0.01, 100)], NOW_MS, 3_600_000), null)
  assert.equal(growthOf([], NOW_MS, 0), null)
})

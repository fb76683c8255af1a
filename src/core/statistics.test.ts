import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, formatUptime } from './duration.ts'
import { CycleCounter } from './statistics.ts'

test('cycles are counted, the rate has two decimals and the average looks back on 100', () => {
  const counter = new CycleCounter()
  assert.deepEqual(counter.summary(), {
    total: 0,
    successful: 0,
    failed: 0,
    successRate: null,
    averageDurationMs: null,
    p50DurationMs: null,
    p95DurationMs: null,
    lastDurationMs: null,
    isRunning: false,
  })
  counter.add(false, 1_000_000)
  counter.add(true, 10)
  counter.add(true, 20)
  assert.equal(counter.summary().successRate, 66.67)
  for (let n = 0; n < 98; n += 1) counter.add(true, 15)
  const { total, successful, failed, averageDurationMs, lastDurationMs } = counter.summary()
  assert.deepEqual([total, successful, failed, averageDurationMs, lastDurationMs], [101, 100, 1, 15, 15])
})

test('lengths of time in words', () => {
  assert.deepEqual([0, 400, 59_400, 60_000, 312_000, 3_599_000, 7_500_000].map(formatDuration), [
    '0s',
    '0s',
    '59s',
    '1m 0s',
    '5m 12s',
    '59m 59s',
    '2h 5m',
  ])
  assert.deepEqual([0, 59_999, 312_900, 3_600_000, 360_000_000].map(formatUptime), [
    '0m 0s',
    '0m 59s',
    '5m 12s',
    '1h 0m',
    '100h 0m',
  ])
})

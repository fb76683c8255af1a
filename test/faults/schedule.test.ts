import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSchedule, describeSchedule, describeStep, type ScheduleForm } from './schedule.ts'

const SEEDS = Array.from({ length: 200 }, (_, index) => index + 1)

for (const form of ['short', 'long'] as ScheduleForm[]) {
  test(`${form}: a seed always gives the same schedule, within its bounds, in the order of time`, () => {
    for (const seed of SEEDS) {
      const schedule = createSchedule(seed, form)
      assert.deepEqual(createSchedule(seed, form), schedule)
      const times = schedule.steps.map((step) => step.atMs)
      assert.deepEqual(
        times,
        [...times].sort((one, other) => one - other),
      )
      assert.ok(times.every((atMs) => atMs >= 0 && atMs <= schedule.windowMs))
      assert.ok(schedule.steps.some((step) => step.lane === 'line'))
      assert.ok(schedule.steps.some((step) => step.lane === 'processes'))
      assert.equal(describeSchedule(schedule).length, schedule.steps.length + 1)
    }
  })
}

test('200 seeds contain every fault, and pauses of 20 s', () => {
  const told = SEEDS.flatMap((seed) => createSchedule(seed, 'long').steps.map(describeStep)).join('\n')
  for (const what of [
    ...['latencyMs', 'bytesPerSecond', 'sliceBytes', '"reset"', '"halfOpen"', '"truncate"', '"refuse":true'],
    ...['"down"', '"up"', '"both"', '"connections":"current"', '"token":"some"'],
    ...['"price_change"', '"book"', '"last_trade_price"', 'repeatFrames', 'reorderFrames', 'closeConnections'],
    ...['"html"', '"425"', '"429"', '"500"', '"502"', '"503"', '"empty"', '"empty_page"', '"hang"', 'retryAfter'],
    ...['clockSkew', 'createMarket', 'resolveMarket', 'kill daemon', 'restart daemon', '"forMs":20000'],
    ...['kill server', 'stop server at once', 'fill disk'],
  ]) {
    assert.ok(told.includes(what), `no schedule has ${what}`)
  }
})

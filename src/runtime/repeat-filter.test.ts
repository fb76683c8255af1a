import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger } from '../core/log.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { withoutRepeats } from './repeat-filter.ts'

function recorder() {
  const lines: string[] = []
  const at = (level: string) => (context: Readonly<Record<string, unknown>>, message: string) => {
    lines.push(`${level} ${message}${context['repeats'] === undefined ? '' : ` (${context['repeats']})`}`)
  }
  const log: Logger = {
    debug: () => {},
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    child: () => log,
  }
  return { log, lines }
}

test('lines that differ only in their numbers are written once, then every 10th', () => {
  const { log, lines } = recorder()
  const quiet = withoutRepeats(log, new SimulatedClock())
  for (let count = 0; count < 25; count += 1) quiet.warn({}, `could not store ${count} prices`)
  assert.deepEqual(lines, [
    'warn could not store 0 prices',
    'warn could not store 10 prices (10)',
    'warn could not store 20 prices (20)',
  ])
})

test('another text, another level and news are always written', () => {
  const { log, lines } = recorder()
  const quiet = withoutRepeats(log, new SimulatedClock())
  for (const text of ['no prices', 'no books']) quiet.warn({}, text)
  quiet.error({}, 'no prices')
  for (let count = 0; count < 3; count += 1) quiet.info({}, 'news')
  assert.deepEqual(lines, ['warn no prices', 'warn no books', 'error no prices', 'info news', 'info news', 'info news'])
})

test('a reminder comes after 10 minutes', async () => {
  const { log, lines } = recorder()
  const clock = new SimulatedClock()
  const quiet = withoutRepeats(log, clock)
  quiet.warn({}, 'no prices')
  await clock.advance(300_000)
  quiet.warn({}, 'no prices')
  await clock.advance(300_000)
  quiet.warn({}, 'no prices')
  assert.deepEqual(lines, ['warn no prices', 'warn no prices (1)'])
})

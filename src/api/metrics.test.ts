import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, startTestApi } from '../../test/support/api.ts'
import type { AlertsStatus } from '../monitor/alerts/alerts.ts'

test('what became of the alerts is a number for Prometheus, and none before they are watched for', async (t) => {
  let alerts: AlertsStatus | null = null
  const { api } = await startTestApi({ alerts: () => alerts })
  t.after(() => api.close())
  const numbers = async () => {
    const { text } = await ask(api.port, '/metrics')
    return text.split('\n').filter((line) => /^tapekeeper_alert/.test(line))
  }
  assert.deepEqual(await numbers(), [])
  alerts = { open: 2, queued: 3, dropped: 1, trouble: null }
  const told = ['tapekeeper_alerts_open 2', 'tapekeeper_alert_messages_queued 3']
  assert.deepEqual(await numbers(), [...told, 'tapekeeper_alert_messages_dropped_total 1', 'tapekeeper_alerts_kept 1'])
  alerts = { ...alerts, trouble: 'ENOSPC: no space left on device' }
  assert.equal((await numbers()).at(-1), 'tapekeeper_alerts_kept 0')
})

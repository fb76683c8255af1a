import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { NO_ALERTS, step } from '../src/monitor/alerts/machine.ts'
import { observe } from '../src/monitor/alerts/observe.ts'
import { Outbox } from '../src/monitor/alerts/outbox.ts'
import { writeAlerts } from '../src/monitor/alerts/store.ts'
import { NOW_MS } from './support/board.ts'
import { removeDirectory, temporaryDirectory } from './support/daemon.ts'
import { Play } from './support/outages.ts'
import { runProgram } from './support/processes.ts'
import { MailReceiver, Receiver } from './support/receivers.ts'

let receiver: Receiver
let mail: MailReceiver
let directory = ''
before(async () => {
  receiver = await Receiver.start()
  mail = await MailReceiver.start()
  directory = await temporaryDirectory()
})
after(async () => {
  await receiver.stop()
  await mail.stop()
  await removeDirectory(directory)
})

function environment(): Record<string, string> {
  return {
    TAPEKEEPER_DATA_DIR: directory,
    TAPEKEEPER_RECORDER_ID: 'attic',
    TAPEKEEPER_ALERTS_WEBHOOK_URL: `${receiver.url}/hook`,
    TAPEKEEPER_ALERTS_SLACK_URL: `${receiver.url}/slack-secret`,
    TAPEKEEPER_ALERTS_TELEGRAM_URL: receiver.url,
    TAPEKEEPER_ALERTS_TELEGRAM_TOKEN: '12:telegram-secret',
    TAPEKEEPER_ALERTS_TELEGRAM_CHAT: '-100',
    TAPEKEEPER_ALERTS_SMTP_URL: mail.url,
    TAPEKEEPER_ALERTS_EMAIL_FROM: 'tape@example.org',
    TAPEKEEPER_ALERTS_EMAIL_TO: 'me@example.org',
  }
}

describe('tapekeeper alerts test', () => {
  test('tells every channel, and each failure without its secret', async () => {
    const good = await runProgram(['alerts', 'test'], { env: environment() })
    assert.deepEqual(
      [good.code, good.stdout],
      [0, 'webhook: taken\nslack: taken\ntelegram: taken\nemail: taken\n'],
      good.stderr,
    )
    assert.deepEqual(receiver.received.map(({ path }) => path).sort(), [
      '/bot12:telegram-secret/sendMessage',
      '/hook',
      '/slack-secret',
    ])
    assert.match(mail.mails[0]?.text ?? '', /^Subject: \[tapekeeper attic\] TEST: this is only a test\r$/m)

    Object.assign(receiver, { status: 404, answer: 'no_team' })
    mail.busy = true
    const bad = await runProgram(['alerts', 'test', '--json'], { env: environment() })
    assert.equal(bad.code, 69)
    const { results } = JSON.parse(bad.stdout) as { results: { channel: string; ok: boolean; error: string }[] }
    assert.deepEqual(
      results.map(({ channel, ok }) => [channel, ok]),
      ['webhook', 'slack', 'telegram', 'email'].map((name) => [name, false]),
    )
    assert.match(results[1]?.error ?? '', /^127\.0\.0\.1:\d+ answered 404: no_team$/)
    assert.match(results[3]?.error ?? '', /^the mail was not taken: .*try again later/)
    assert.doesNotMatch(bad.stdout + bad.stderr, /secret|letmein/)
  })

  test('without a channel, or with half of one, says what is missing', async () => {
    const none = await runProgram(['alerts', 'test'])
    assert.deepEqual([none.code, none.stdout], [78, ''])
    const half = await runProgram(['alerts'], { env: { TAPEKEEPER_ALERTS_TELEGRAM_TOKEN: '12:telegram-secret' } })
    assert.equal(half.code, 78)
    assert.match(half.stderr, /alerts\.telegram_chat is missing: the other keys of its channel are set/)
    const shown = await runProgram(['config'], { env: environment() })
    assert.doesNotMatch(shown.stdout, /secret|letmein/)
    assert.match(shown.stdout, /^alerts\.slack_url +\*\*\* +TAPEKEEPER_ALERTS_SLACK_URL$/m)
  })
})

test('tapekeeper alerts lists what is open, what is over and what is not delivered', async () => {
  const env = { TAPEKEEPER_DATA_DIR: directory }
  assert.equal((await runProgram(['alerts'], { env })).stdout, 'no alerts so far\n')
  assert.ok(!existsSync(`${directory}/alerts.json`))
  const play = new Play(NOW_MS)
  const policy = { openFailures: 3, openAfterMs: 0, staleAfterMs: 600_000, closeAfterMs: 0, repeatMs: 3_600_000 }
  play.down.add('ledger')
  play.advance(NOW_MS + 120_000)
  const first = step(NO_ALERTS, observe(play.board(NOW_MS + 120_000)), NOW_MS + 120_000, policy)
  const outbox = new Outbox({ letters: [], counts: {}, told: {} })
  for (const notice of first.notices) outbox.add('slack', notice, NOW_MS + 120_000)
  const letter = outbox.next('slack', NOW_MS + 120_000)
  if (letter !== null) outbox.failed(letter, 'slack answered 500', NOW_MS)
  writeAlerts(directory, { alerts: first.state, outbox: outbox.snapshot() })

  const { stdout } = await runProgram(['alerts'], { env })
  const lines = stdout.split('\n')
  assert.equal(lines[0], 'open')
  assert.match(lines[1] ?? '', /^ {2}The database is away {3}since 2026-10-01T12:02:00\.000Z \(/)
  assert.deepEqual(lines.slice(2), [
    '    refused',
    'not delivered yet',
    '  slack: down of The database is away, 1 attempts: slack answered 500',
    'slack: 0 delivered, 0 given up',
    '',
  ])
  const json = JSON.parse((await runProgram(['alerts', '--json'], { env })).stdout) as Record<string, unknown[]>
  assert.deepEqual(json['suppressed']?.[0], { cause: 'collector:polymarket.prices', explained_by: 'ledger' })
  assert.deepEqual(json['undelivered'], [
    {
      channel: 'slack',
      kind: 'down',
      incident: 'ledger@2026-10-01T12:02:00.000Z',
      attempts: 1,
      trouble: 'slack answered 500',
    },
  ])

  const second = step(
    first.state,
    observe({
      ...play.board(NOW_MS + 180_000),
      ledger: { ...play.board(NOW_MS).ledger, state: 'ok', trouble: null },
      collectors: [],
    }),
    NOW_MS + 180_000,
    policy,
  )
  writeAlerts(directory, { alerts: second.state, outbox: outbox.snapshot() })
  const over = await runProgram(['alerts', 'list', '-n', '5'], { env })
  assert.match(over.stdout, /^no open alerts\nover\n {2}The database is away {3}2026-10-01T12:02:00\.000Z, for 1m 0s$/m)
})

test('tapekeeper drill knows its faults', async () => {
  const { code, stderr } = await runProgram(['drill', '--only', 'feed,nothing'])
  assert.equal(code, 64)
  assert.match(stderr, /--only takes feed, source, queue, not nothing/)
})

import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { NOW_MS } from '../../../test/support/board.ts'
import { removeDirectory, temporaryDirectory } from '../../../test/support/daemon.ts'
import { Play } from '../../../test/support/outages.ts'
import { MailReceiver, Receiver } from '../../../test/support/receivers.ts'
import type { Logger } from '../../core/log.ts'
import { createPoster } from '../../runtime/post.ts'
import { SimulatedClock } from '../../sim/clock.ts'
import { type Alerts, startAlerts } from './alerts.ts'
import { type ChannelSettings, createChannels } from './channels.ts'
import { readAlerts } from './store.ts'

const MINUTE_MS = 60_000
const POLICY = {
  openFailures: 3,
  openAfterMs: 120_000,
  staleAfterMs: 600_000,
  closeAfterMs: 180_000,
  repeatMs: 21_600_000,
}
const QUIET: ChannelSettings = { webhookUrl: null, slackUrl: null, telegram: null, email: null }

let webhook: Receiver
let slack: Receiver
let telegram: Receiver
let mail: MailReceiver
let directory = ''
const poster = createPoster()
before(async () => {
  ;[webhook, slack, telegram] = [await Receiver.start(), await Receiver.start(), await Receiver.start()]
  mail = await MailReceiver.start()
})
beforeEach(async () => {
  directory = await temporaryDirectory()
})
afterEach(async () => {
  for (const receiver of [webhook, slack, telegram]) {
    Object.assign(receiver, { asked: 0, status: 200, headers: {} })
    receiver.received.length = 0
  }
  mail.mails.length = 0
  await removeDirectory(directory)
})
after(async () => {
  await poster.close()
  for (const receiver of [webhook, slack, telegram, mail]) await receiver.stop()
})

/** A recorder's alerts on a clock that a test moves; `minutes` plays on. */
function stage(settings: Partial<ChannelSettings>) {
  const clock = new SimulatedClock(NOW_MS)
  const play = new Play(NOW_MS)
  const said: string[] = []
  const note = (_context: unknown, message: string) => said.push(message)
  const log = { debug: note, info: note, warn: note, error: note, fatal: note, child: () => log } as unknown as Logger
  const channels = createChannels({ settings: { ...QUIET, ...settings }, poster, userAgent: 'tapekeeper/test' })
  const board = () => play.board(clock.wallMs())
  const options = {
    clock,
    random: () => 0,
    log,
    dataDir: directory,
    board,
    policy: POLICY,
    intervalMs: 15_000,
    channels,
  }
  let alerts: Alerts = startAlerts(options)
  return {
    clock,
    play,
    said,
    status: () => alerts.status(),
    async minutes(count: number) {
      for (let look = 0; look < count * 4; look += 1) await clock.advance(15_000)
    },
    /** Delivers what is due: a refused message is asked about at the next turn of the clock. */
    async until(done: Promise<void>) {
      const state = { isDone: false }
      const noted = done.then(() => {
        state.isDone = true
      })
      for (let turn = 0; !state.isDone && turn < 4_000; turn += 1) {
        await clock.advance(250)
        await new Promise((resolve) => setImmediate(resolve))
      }
      await noted
      await clock.settle()
    },
    async restart() {
      await alerts.close()
      alerts = startAlerts(options)
    },
    close: () => alerts.close(),
  }
}

const kinds = (receiver: Receiver) => receiver.bodies.map((body) => (body as { kind: string }).kind)

describe('a network outage that hits every collector', () => {
  test('is told once on every channel, and once that it is over, word for word', async () => {
    const it = stage({
      webhookUrl: `${webhook.url}/hook?key=1`,
      slackUrl: `${slack.url}/services/T0/B0/XX`,
      telegram: { url: telegram.url, token: '12:ab', chat: '-100' },
      email: { smtpUrl: mail.url, from: 'tape@example.org', to: ['me@example.org', 'you@example.org'] },
    })
    await it.minutes(5)
    it.play.down.add('network')
    await it.minutes(4)
    await it.until(
      Promise.all([webhook.untilAsked(1), slack.untilAsked(1), telegram.untilAsked(1), mail.untilMails(1)]).then(
        () => undefined,
      ),
    )
    it.play.down.delete('network')
    await it.minutes(6)
    await it.until(
      Promise.all([webhook.untilAsked(2), slack.untilAsked(2), telegram.untilAsked(2), mail.untilMails(2)]).then(
        () => undefined,
      ),
    )
    await it.minutes(60)
    await it.close()

    const [down, over] = webhook.bodies as Record<string, unknown>[]
    assert.equal(webhook.received.length, 2)
    assert.deepEqual(webhook.received[0], {
      ...webhook.received[0],
      method: 'POST',
      path: '/hook?key=1',
      contentType: 'application/json',
    })
    const title = 'Nothing answers: the network is down, or every source at once'
    const failed = ['prices', 'markets', 'orderbooks'].map((name) => `polymarket.${name}`)
    const detail = [
      ...failed.map((name) => `${name} failed in its last cycle: connect ECONNREFUSED`),
      'polymarket.trades has no live connection',
    ].join('; ')
    const affects = [...failed, 'polymarket.trades']
    const incident = down?.['incident']
    assert.deepEqual(down, {
      id: `${incident}/down/${Date.parse(String(down?.['opened_at']))}`,
      kind: 'down',
      recorder: 'r',
      incident,
      cause: 'network',
      title,
      detail,
      affects,
      since: down?.['since'],
      opened_at: down?.['opened_at'],
      closed_at: null,
      flapping: false,
      note: null,
    })
    const late = { id: over?.['id'], kind: 'recovered', closed_at: over?.['closed_at'] }
    assert.deepEqual(over, { ...down, ...late })
    const since = String(down?.['since'])
    const wasDown = `It was down for ${minutesAndSeconds(Date.parse(String(over?.['closed_at'])) - Date.parse(since))}.`
    const texts = [
      [`[tapekeeper r] DOWN: ${title}`, `${detail}\nAffected: ${affects.join(', ')}\nSince ${since}`],
      [`[tapekeeper r] RECOVERED: ${title}`, `${wasDown}\nAffected: ${affects.join(', ')}\nSince ${since}`],
    ]
    assert.deepEqual(
      slack.bodies,
      texts.map(([subject, text]) => ({ text: `*${subject}*\n${text}` })),
    )
    assert.equal(slack.received[0]?.path, '/services/T0/B0/XX')
    const preview = { link_preview_options: { is_disabled: true } }
    assert.deepEqual(
      telegram.bodies,
      texts.map(([subject, text]) => ({ chat_id: '-100', text: `${subject}\n${text}`, ...preview })),
    )
    assert.equal(telegram.received[0]?.path, '/bot12:ab/sendMessage')
    assert.deepEqual(
      mail.mails.map(({ from, to }) => [from, to]),
      [0, 1].map(() => ['tape@example.org', ['me@example.org', 'you@example.org']]),
    )
    for (const [index, [subject, text]] of texts.entries()) {
      const body = unfolded(mail.mails[index]?.text ?? '')
      assert.ok(body.includes(`Subject: ${subject}\r\n`), body)
      assert.ok(body.endsWith(`\r\n\r\n${text?.replaceAll('\n', '\r\n')}\r\n`), body)
    }
    assert.deepEqual(it.status(), { open: 0, queued: 0, dropped: 0, trouble: null })
  })
})

/** What quoted-printable and long header lines were before they were sent. */
function unfolded(text: string): string {
  return text.replaceAll('=\r\n', '').replaceAll('=3D', '=').replaceAll('\r\n ', ' ')
}

function minutesAndSeconds(ms: number): string {
  return `${Math.floor(ms / MINUTE_MS)}m ${Math.round((ms % MINUTE_MS) / 1000)}s`
}

describe('a channel that is down itself', () => {
  test('for ten minutes loses nothing, keeps the order and holds up nobody else', async () => {
    const it = stage({ webhookUrl: webhook.url, slackUrl: slack.url })
    slack.status = 503
    await it.minutes(2)
    it.play.down.add('ledger')
    await it.minutes(3)
    await it.until(webhook.untilAsked(1))
    it.play.down.delete('ledger')
    await it.minutes(7)
    await it.until(webhook.untilAsked(2))
    assert.deepEqual(kinds(webhook), ['down', 'recovered'])
    assert.deepEqual([slack.received.length, it.status().queued], [0, 2])
    slack.status = 200
    await it.until(slack.untilAsked(slack.asked + 2))
    await it.close()
    const texts = slack.bodies.map((body) => (body as { text: string }).text.split('\n')[0])
    const title = 'The database is away'
    assert.deepEqual(texts, [`*[tapekeeper r] DOWN: ${title}*`, `*[tapekeeper r] RECOVERED: ${title}*`])
    assert.equal(it.said.filter((line) => line.startsWith('an alert is not delivered yet by slack')).length, 1)
  })

  test('and a recorder that is restarted meanwhile: the next one delivers', async () => {
    const it = stage({ webhookUrl: webhook.url })
    webhook.status = 500
    it.play.down.add('ledger')
    await it.minutes(3)
    await it.until(webhook.untilAsked(1))
    await it.restart()
    await it.minutes(2)
    it.play.down.delete('ledger')
    await it.minutes(4)
    await it.restart()
    assert.equal(webhook.received.length, 0)
    webhook.status = 200
    await it.until(webhook.untilAsked(webhook.asked + 2))
    await it.restart()
    await it.minutes(5)
    await it.close()
    assert.deepEqual(kinds(webhook), ['down', 'recovered'])
    assert.deepEqual(it.status(), { open: 0, queued: 0, dropped: 0, trouble: null })
  })

  test('is not asked again before it wants to be', async () => {
    const it = stage({ webhookUrl: webhook.url })
    webhook.status = 429
    webhook.headers = { 'retry-after': '300' }
    it.play.down.add('ledger')
    await it.minutes(3)
    await it.until(webhook.untilAsked(1))
    await it.minutes(4)
    assert.equal(webhook.asked, 1)
    webhook.status = 200
    await it.until(webhook.untilAsked(2))
    await it.close()
    assert.deepEqual(kinds(webhook), ['down'])
  })

  test('does not keep what it can take behind what it never will', async () => {
    const it = stage({ webhookUrl: webhook.url })
    webhook.status = 400
    it.play.down.add('ledger')
    await it.minutes(3)
    await it.until(webhook.untilAsked(3))
    it.play.down.delete('ledger')
    await it.minutes(5)
    assert.deepEqual([webhook.asked, it.status().queued, it.status().dropped], [3, 0, 1])
    assert.equal(it.said.filter((line) => line.startsWith('an alert is given up, webhook does not take it')).length, 1)
    webhook.status = 200
    it.play.down.add('ledger')
    await it.minutes(3)
    await it.until(webhook.untilAsked(4))
    await it.close()
    assert.deepEqual(kinds(webhook), ['down'])
  })

  test('is asked again in time when the clock is set back', async () => {
    const it = stage({ webhookUrl: webhook.url })
    webhook.status = 503
    it.play.down.add('ledger')
    await it.minutes(3)
    await it.until(webhook.untilAsked(1))
    webhook.status = 200
    it.clock.jumpWall(-86_400_000)
    await it.minutes(5)
    await it.until(webhook.untilAsked(2))
    await it.close()
    assert.deepEqual(kinds(webhook), ['down'])
  })

  test('for days is told neither that it began nor that it is over, and that is counted', async () => {
    const it = stage({ webhookUrl: webhook.url })
    webhook.status = 500
    it.play.down.add('ledger')
    await it.minutes(3)
    await it.until(webhook.untilAsked(1))
    it.play.down.delete('ledger')
    await it.minutes(5)
    assert.equal(it.status().queued, 2)
    webhook.status = 200
    it.clock.jumpWall(4 * 86_400_000)
    await it.minutes(6)
    await it.close()
    assert.deepEqual([webhook.received.length, it.status().dropped, it.status().queued], [0, 2, 0])
  })
})

describe('what is kept', () => {
  test('is for its owner alone, and one that is damaged is put aside', async () => {
    const it = stage({})
    it.play.down.add('ledger')
    await it.minutes(3)
    await it.close()
    const path = join(directory, 'alerts.json')
    assert.equal(readAlerts(directory)?.alerts.open[0]?.key, 'ledger')
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, 100))
    const again = stage({})
    await again.close()
    assert.ok(existsSync(`${path}.damaged`))
    assert.match(again.said.join(), /alerts of an earlier start are lost/)
  })

  test('a disk that is full does not keep an alert from being told', async () => {
    const it = stage({ webhookUrl: webhook.url })
    rmSync(directory, { recursive: true })
    it.play.down.add('ledger')
    await it.minutes(3)
    await it.until(webhook.untilAsked(1))
    assert.deepEqual(kinds(webhook), ['down'])
    assert.match(it.status().trouble ?? '', /ENOENT/)
    await it.close()
  })
})

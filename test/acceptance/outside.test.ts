import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { startVenueProcess } from '../../src/sim/process.ts'
import { startProxyProcess } from '../../src/sim/proxy-process.ts'
import { Daemon, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { startServer } from '../support/database-server.ts'
import { until } from '../support/processes.ts'
import { MailReceiver, Receiver } from '../support/receivers.ts'

/** Services as they are outside: each keeps what it is sent. */
async function services() {
  const [webhook, slack, telegram] = [await Receiver.start(), await Receiver.start(), await Receiver.start()]
  const [sentry, pings, mail] = [await Receiver.start(), await Receiver.start(), await MailReceiver.start()]
  const env = {
    TAPEKEEPER_ALERTS_WEBHOOK_URL: webhook.url,
    TAPEKEEPER_ALERTS_SLACK_URL: slack.url,
    TAPEKEEPER_ALERTS_TELEGRAM_URL: telegram.url,
    TAPEKEEPER_ALERTS_TELEGRAM_TOKEN: '12:token',
    TAPEKEEPER_ALERTS_TELEGRAM_CHAT: '-100',
    TAPEKEEPER_ALERTS_SMTP_URL: mail.url,
    TAPEKEEPER_ALERTS_EMAIL_FROM: 'tape@example.org',
    TAPEKEEPER_ALERTS_EMAIL_TO: 'me@example.org',
    TAPEKEEPER_PINGS_URL: `${pings.url}/key/tape-{collector}`,
    TAPEKEEPER_SENTRY_DSN: `${sentry.url.replace('//', '//public@')}/42`,
    TAPEKEEPER_ALERTS_CHECK_INTERVAL: '250ms',
    TAPEKEEPER_ALERTS_OPEN_AFTER: '8s',
    TAPEKEEPER_ALERTS_CLOSE_AFTER: '2s',
  }
  const all = [webhook, slack, telegram, sentry, pings, mail]
  return { webhook, slack, telegram, sentry, pings, mail, env, stop: () => Promise.all(all.map((one) => one.stop())) }
}

const CADENCES = Object.fromEntries(
  ['MARKETS', 'PRICE', 'ORDERBOOK', 'RESOLUTION'].map((name) => [`TAPEKEEPER_POLYMARKET_${name}_INTERVAL`, '2s']),
)

/** How the listener answers, asked as free monitors do (HEAD) and as Railway does (its own Host). */
async function ask(daemon: Daemon) {
  const [head, get] = await Promise.all([request(daemon, 'HEAD'), request(daemon, 'GET')])
  const { status } = JSON.parse(get.text) as { status: string }
  return { codes: [get.code, head.code], empty: head.text === '', status }
}

function request(daemon: Daemon, method: 'GET' | 'HEAD'): Promise<{ code: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'healthcheck.railway.app' }
    const sent = httpRequest(`${daemon.healthUrl}/health`, { method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.once('end', () => resolve({ code: response.statusCode ?? 0, text })).once('error', reject)
    })
    sent.once('error', reject).end()
  })
}

test('health, alerts, pings and check-ins follow a real recorder through its troubles', async (t) => {
  const directory = await temporaryDirectory()
  const server = await startServer(join(directory, 'cluster'))
  const venue = await startVenueProcess({ markets: 10, rate: 50, seed: 5 })
  const proxy = await startProxyProcess(venue.urls, 7)
  const outside = await services()
  const env = { ...venueEnvironment(proxy.urls), ...CADENCES, ...outside.env, DATABASE_URL: server.url }
  // Slow, so that there is a start to be seen.
  await proxy.control({ line: { latencyMs: 700 } })
  const daemon = await Daemon.start(join(directory, 'data'), env)
  t.after(async () => {
    await daemon.end('SIGTERM')
    await Promise.all([outside.stop(), proxy.stop(), venue.stop(), server.stop()])
    await removeDirectory(directory)
  })
  const reaches = async (status: string, reason: RegExp, code: number) => {
    await daemon.whenHealth(
      `${status} ${reason}`,
      (body) => body.status === status && reason.test(String(body['reasons'])),
    )
    const { codes, empty } = await ask(daemon)
    assert.deepEqual([codes, empty], [[code, code], true], status)
  }
  const told = (count: number) =>
    until(`${count} alerts`, () => (outside.webhook.received.length >= count ? true : undefined), 60_000)

  await reaches('starting', /^/, 200)
  await proxy.control({ line: {} })
  await reaches('healthy', /^$/, 200)
  await venue.control({ httpFault: { path: '/gamma', mode: '500' } })
  await reaches('degraded', /polymarket\.markets failed in its last cycle: .*500/, 503)
  await venue.control({ clearHttpFaults: true })
  await reaches('healthy', /^$/, 200)
  await venue.control({ httpFault: { path: '/clob', mode: 'hang' } })
  await reaches('degraded', /gave its newest useful answer \d+s ago \(expected every 2s\)/, 503)
  await venue.control({ clearHttpFaults: true })
  await proxy.control({ reset: { kind: 'http' } })
  await reaches('healthy', /^$/, 200)
  assert.deepEqual(outside.webhook.received, [], 'none of it was long enough for an alert')

  await server.stop()
  await reaches('degraded', /the ledger is unavailable/, 503)
  await told(1)
  await server.start()
  await reaches('healthy', /^$/, 200)
  await told(2)
  await proxy.control({ refuse: true, reset: {} })
  await reaches('degraded', /polymarket\.trades has no live connection/, 503)
  await told(3)
  await proxy.control({ heal: true })
  await reaches('healthy', /^$/, 200)
  await told(4)
  const metrics = await (await fetch(`${daemon.apiUrl}/metrics`)).text()
  for (const line of ['tapekeeper_alerts_open 0', 'tapekeeper_alert_messages_dropped_total 0']) {
    assert.ok(metrics.includes(`\n${line}\n`), line)
  }

  await daemon.forgetLedger()
  const seen = new Set<string>()
  daemon.running.child.kill('SIGTERM')
  while (daemon.running.alive) {
    const answer = await ask(daemon).catch(() => null)
    if (answer !== null) seen.add(`${answer.status} ${answer.codes[0]}`)
  }
  assert.ok(seen.has('stopped 503'), [...seen].join())
  assert.equal((await daemon.running.ended).code, 0)

  const expected = ['down ledger', 'recovered ledger', 'down network', 'recovered network']
  const bodies = outside.webhook.bodies as { kind: string; cause: string; affects: string[] }[]
  assert.deepEqual(
    bodies.map(({ kind, cause }) => `${kind} ${cause}`),
    expected,
  )
  assert.ok((bodies[2]?.affects.length ?? 0) >= 2)
  const heads = expected.map((line) => (line.startsWith('down') ? 'DOWN' : 'RECOVERED'))
  const headOf = (text: string) => /\] (DOWN|RECOVERED): /.exec(text)?.[1]
  for (const receiver of [outside.slack, outside.telegram]) {
    assert.deepEqual(
      receiver.bodies.map((body) => headOf((body as { text: string }).text)),
      heads,
    )
  }
  assert.deepEqual(
    outside.mail.mails.map(({ text }) => headOf(text)),
    heads,
  )
  const pinged = outside.pings.received.map(({ path }) => path)
  assert.ok(pinged.includes('/key/tape-polymarket-prices/start') && pinged.includes('/key/tape-polymarket-prices'))
  assert.ok(pinged.includes('/key/tape-polymarket-markets/fail'))
  const checkIns = outside.sentry.received.map(({ body }) => body).join('\n')
  assert.match(checkIns, /"monitor_slug":"tapekeeper-polymarket-markets","status":"error"/)
  assert.match(checkIns, /"monitor_slug":"tapekeeper-polymarket-prices","status":"in_progress"/)
  assert.doesNotMatch(daemon.running.stderr, /12:token|letmein|public@/)
})

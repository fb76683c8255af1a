import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { request } from 'undici'
import { ask, startTestApi, type TestApi } from '../../test/support/api.ts'
import { healthyBoard } from '../../test/support/board.ts'
import { PermanentError, TransientError } from '../core/errors.ts'

interface Stream {
  /** Waits for the next event. */
  next(): Promise<{ name: string; data: Record<string, unknown> }>
  /** Resolves when the server has ended it. */
  readonly ended: Promise<void>
  leave(): void
}

async function listen({ api }: TestApi): Promise<Stream> {
  const leaving = new AbortController()
  const answer = await request(`http://127.0.0.1:${api.port}/api/events`, { signal: leaving.signal })
  assert.deepEqual([answer.statusCode, answer.headers['content-type']], [200, 'text/event-stream'])
  assert.match(String(answer.headers['content-security-policy']), /default-src 'none'/)
  const queue: { name: string; data: Record<string, unknown> }[] = []
  let wake = () => {}
  let text = ''
  answer.body.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(text.slice(0, end)) ?? []
      if (name !== undefined) queue.push({ name, data: JSON.parse(data ?? '') })
      text = text.slice(end + 2)
    }
    wake()
  })
  const ended = new Promise<void>((resolve) => {
    answer.body.once('close', () => resolve())
    answer.body.once('error', () => resolve())
  })
  return {
    ended,
    leave: () => leaving.abort(),
    async next() {
      while (queue.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return queue.shift() as { name: string; data: Record<string, unknown> }
    },
  }
}

const cycle = { collector: 'x', startedMs: 0, durationMs: 1_500, ok: true, items: 3, error: null, details: {} }

describe('server-sent events', () => {
  test('the status first, then what happens', async () => {
    const it = await startTestApi()
    const stream = await listen(it)
    const first = await stream.next()
    assert.deepEqual([first.name, first.data['status']], ['status', 'healthy'])
    it.events.publish({ kind: 'cycle', cycle })
    it.events.publish({ kind: 'log', entry: { atMs: 0, level: 'warn', message: 'two\nlines', context: { a: 1 } } })
    assert.deepEqual((await stream.next()).data['duration_seconds'], 1.5)
    const entry = { id: null, timestamp: '1970-01-01T00:00:00.000Z', level: 'WARNING', message: 'two\nlines' }
    assert.deepEqual(await stream.next(), { name: 'log', data: { ...entry, context: { a: 1 } } })
    it.board = () => ({ ...healthyBoard(), draining: true })
    await it.clock.advance(1_000)
    assert.deepEqual((await stream.next()).data['status'], 'stopped')
    await it.api.close()
    await stream.ended
    assert.equal(it.events.listeners, 0)
    assert.deepEqual(it.clock.pending(), [])
  })

  test('no more than 32 clients; who leaves makes room', async () => {
    const it = await startTestApi()
    const streams = await Promise.all(Array.from({ length: 32 }, () => listen(it)))
    assert.equal((await ask(it.api.port, '/api/events')).status, 503)
    streams[0]?.leave()
    await streams[0]?.ended
    while (it.events.listeners === 32) await new Promise((resolve) => setImmediate(resolve))
    const another = await listen(it)
    assert.equal((await another.next()).name, 'status')
    await it.api.close()
    await Promise.all(streams.map(({ ended }) => ended))
  })

  test('a client that does not read is told how much it missed', async () => {
    const it = await startTestApi()
    const answer = await request(`http://127.0.0.1:${it.api.port}/api/events`)
    const message = 'x'.repeat(2_000)
    // Nobody reads, so that at some point neither sockets nor the limit take more.
    for (let n = 0; n < 20_000; n += 1) {
      it.events.publish({ kind: 'log', entry: { atMs: n, level: 'info', message, context: {} } })
    }
    let text = ''
    for await (const chunk of answer.body) {
      text = (text + String(chunk)).slice(-4_000)
      const dropped = /event: dropped\ndata: \{"count":(\d+)\}/.exec(text)
      if (dropped === null) continue
      assert.ok(Number(dropped[1]) > 15_000, dropped[1])
      break
    }
    await it.api.close()
  })
})

describe('while the ledger is away', () => {
  test('what comes from memory answers, the rest says what is wrong in words', async () => {
    const it = await startTestApi()
    try {
      it.board = () => {
        const ledger = { ...healthyBoard().ledger, state: 'unavailable' as const }
        return { ...healthyBoard(), ledger: { ...ledger, trouble: 'cannot reach postgres://me:hunter2@db:5432/tape' } }
      }
      for (const path of ['health', 'fetcher/statistics', 'collectors', 'collectors/polymarket.prices']) {
        assert.equal((await ask(it.api.port, `/api/${path}`)).status, 200, path)
      }
      for (const path of ['markets', 'gaps', 'tokens/1/trades', 'fetcher/recent-updates', 'fetcher/logs']) {
        const { status, body, text } = await ask(it.api.port, `/api/${path}`)
        assert.equal(status, 503, path)
        assert.match(String(body['detail']), path === 'fetcher/logs' ? /nobody is there/ : /^the ledger is unavailable/)
        assert.doesNotMatch(text, /hunter2/)
      }
      assert.deepEqual(it.lines, [], 'that is told elsewhere')
    } finally {
      await it.api.close()
    }
  })

  test('the status waits a moment for the number of assets, and no longer', async () => {
    const it = await startTestApi({ ledger: { view: () => new Promise(() => {}) } })
    const asking = ask(it.api.port, '/api/fetcher/status')
    while (it.clock.pending().length === 0) await new Promise((resolve) => setImmediate(resolve))
    await it.clock.advance(200)
    const { status, body } = await asking
    assert.deepEqual([status, body['tracked_assets_count'], body['last_update']], [200, 0, null])
    await it.api.close()
  })

  test('too many questions at once are turned away', async () => {
    const waiting: (() => void)[] = []
    const view = () => new Promise<never>((_resolve, reject) => waiting.push(() => reject(new TransientError('slow'))))
    const it = await startTestApi({ ledger: { view } })
    const answers = Array.from({ length: 110 }, () => ask(it.api.port, '/api/gaps'))
    const first = await Promise.race(answers)
    assert.deepEqual([first.status, first.body['detail']], [503, 'too much is asked at once: try again'])
    assert.equal(waiting.length, 4)
    const all = Promise.all(answers)
    let done = false
    void all.then(() => {
      done = true
    })
    while (!done) {
      for (const end of waiting.splice(0)) end()
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok((await all).every(({ status }) => status === 503))
    await it.api.close()
  })
})

test('an internal error is told without its words, and logged with them', async () => {
  const it = await startTestApi({
    ledger: { view: () => Promise.reject(new TypeError('secret plans')) },
    statistics: {
      getStatistics() {
        throw new PermanentError('no')
      },
    },
  })
  const { status, text } = await ask(it.api.port, '/api/gaps')
  assert.equal(status, 500)
  assert.doesNotMatch(text, /secret plans/)
  assert.deepEqual(it.lines, ['the API failed at /api/gaps: secret plans'])
  assert.equal((await ask(it.api.port, '/api/fetcher/statistics')).status, 503)
  await it.api.close()
})

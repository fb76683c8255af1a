import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { request } from 'undici'
import { collector, healthyBoard, NOW_MS } from '../../test/support/board.ts'
import { PermanentError } from '../core/errors.ts'
import type { StatusBoard } from '../core/status.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { type HealthListener, startHealthListener } from './health-listener.ts'

const clock = new SimulatedClock(NOW_MS)

let board: () => StatusBoard
let listener: HealthListener

beforeEach(async () => {
  board = healthyBoard
  listener = await startHealthListener({ host: '127.0.0.1', port: 0, board: () => board(), clock })
})
afterEach(() => listener.close())

async function ask(path: string, method: 'GET' | 'HEAD' | 'POST' | 'DELETE' | 'OPTIONS' = 'GET', body?: string) {
  const url = `http://127.0.0.1:${listener.port}${path}`
  const headers = body === undefined ? {} : { 'content-type': 'text/xml' }
  const answer = await request(url, { method, headers, body: body ?? null })
  return { status: answer.statusCode, type: String(answer.headers['content-type']), text: await answer.body.text() }
}

async function askJson(path: string) {
  const { status, text } = await ask(path)
  return { status, body: JSON.parse(text) as Record<string, unknown> }
}

/** Sends bytes as they are and returns the status line of the answer. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(listener.port, '127.0.0.1', () => socket.write(text))
    socket.once('data', (data) => {
      resolve(data.toString().split('\r\n')[0] ?? '')
      socket.destroy()
    })
    socket.once('error', reject)
    socket.once('close', () => resolve('closed'))
  })
}

describe('the health listener', () => {
  test('GET / is the name as text', async () => {
    const { status, type, text } = await ask('/')
    assert.deepEqual([status, type, text], [200, 'text/plain; charset=utf-8', 'Tapekeeper\n'])
  })

  test('GET /health has the documented keys over all collectors', async () => {
    const { status, body } = await askJson('/health?verbose=1')
    assert.equal(status, 200)
    const { timestamp, last_scrape_time, last_scrape_success, scrape_count, error_count } = body
    assert.equal(body['status'], 'healthy')
    assert.equal(timestamp, '2026-10-01T12:00:00.000Z')
    assert.equal(last_scrape_time, '2026-10-01T11:59:59.000Z')
    assert.deepEqual([last_scrape_success, scrape_count, error_count], [true, 100, 2])
    assert.deepEqual(body['book_checks'], { match: 31, mismatch: 0, unverifiable: 2, skipped: 0 })
    assert.deepEqual([body['tasks_alive'], body['tasks_dead'], body['total_restarts']], [2, 0, 4])
    assert.deepEqual(Object.keys(body['collectors'] as object), ['polymarket.prices', 'polymarket.trades'])
    assert.equal((body['trade_listener'] as Record<string, unknown>)['connections_active'], 2)
  })

  test('200 while starting, 503 when degraded or stopped', async () => {
    board = () => ({ ...healthyBoard(), uptimeMs: 1_000, collectors: [collector({ cycles: 0, state: 'starting' })] })
    assert.deepEqual([(await ask('/health')).status, (await ask('/health/ready')).status], [200, 503])
    board = () => ({ ...healthyBoard(), draining: true })
    assert.deepEqual([(await ask('/health')).status, (await ask('/health/ready')).status], [503, 503])
    board = () => ({ ...healthyBoard(), collectors: [collector({ state: 'failed', lastError: 'bad key' })] })
    const { status, body } = await askJson('/health')
    assert.deepEqual(
      [status, body['status'], body['reasons']],
      [503, 'degraded', ['polymarket.prices has failed: bad key']],
    )
    assert.equal((await ask('/health/ready')).status, 503)
    assert.equal((await ask('/health/live')).status, 200)
  })

  test('ready when healthy, live always, even when the board cannot be read', async () => {
    assert.deepEqual(await askJson('/health/ready'), {
      status: 200,
      body: { status: 'ready', health: 'healthy', reasons: [] },
    })
    board = () => {
      throw new Error('postgres://u:hunter2@db/x')
    }
    assert.equal((await ask('/health/live')).status, 200)
    for (const path of ['/health', '/health/ready']) {
      const { status, text } = await ask(path)
      assert.equal(status, 503)
      assert.doesNotMatch(text, /hunter2/)
    }
  })

  test('HEAD on each has the status and no body', async () => {
    for (const path of ['/', '/health', '/health/live', '/health/ready']) {
      const { status, text } = await ask(path, 'HEAD')
      assert.deepEqual([status, text], [200, ''], path)
    }
    board = () => ({ ...healthyBoard(), draining: true })
    assert.equal((await ask('/health', 'HEAD')).status, 503)
  })

  test('anything else is 404', async () => {
    for (const path of ['/metrics', '/health/', '/health/x', '/HEALTH', '//', '/%zz', '/..%2f', '/healthz']) {
      assert.equal((await ask(path)).status, 404, path)
    }
    for (const method of ['POST', 'DELETE', 'OPTIONS'] as const) {
      assert.equal((await ask('/health', method)).status, 404, method)
    }
    assert.equal((await ask('/health', 'POST', '<x>'.repeat(10_000))).status, 404)
    assert.match(await raw('PROPFIND /health HTTP/1.1\r\nHost: x\r\n\r\n'), / 404 /)
  })

  test('any Host will do, also none; too many header bytes will not', async () => {
    assert.match(await raw('GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n'), / 200 /)
    assert.match(await raw('GET /health HTTP/1.1\r\n\r\n'), / 200 /)
    assert.match(await raw(`GET /${'x'.repeat(9_000)} HTTP/1.1\r\nHost: x\r\n\r\n`), / 431 /)
    assert.match(await raw('nonsense\r\n\r\n'), / 400 /)
    assert.equal((await ask('/health')).status, 200)
  })

  test('nothing secret is in an answer', async () => {
    const lastError = 'cannot reach postgres://keeper:hunter2@db:5432/tape with Bearer abcdefghijkl'
    board = () => ({ ...healthyBoard(), collectors: [collector({ state: 'failed', lastError })] })
    const { text } = await ask('/health')
    assert.doesNotMatch(text, /hunter2|abcdefghijkl/)
    assert.match(text, /keeper:\*\*\*@db:5432/)
  })

  test('a port in use is one clear line and exit code 73', async () => {
    const second = startHealthListener({ host: '127.0.0.1', port: listener.port, board, clock })
    await assert.rejects(second, (error: unknown) => {
      assert.ok(error instanceof PermanentError)
      const where = `127.0.0.1:${listener.port}`
      const expected = `cannot serve health on ${where}: the port is in use; set HEALTH_PORT to a free one`
      assert.deepEqual([error.message, error.exitCode], [expected, 73])
      return true
    })
    assert.equal((await ask('/health')).status, 200)
  })
})

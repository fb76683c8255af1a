import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { TransientError } from '../core/errors.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { createHttpClient, type HttpClientOptions, HttpStatusError } from './http.ts'
import { redirectTarget } from './http-answer.ts'
import { createRateLimiter } from './rate-limit.ts'
import { Scope } from './scope.ts'
import { systemClock } from './system-clock.ts'

const never = new AbortController().signal

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A loopback server, a client for it and their ends. */
async function setUp(handler: Handler, options: Partial<HttpClientOptions> = {}) {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const clock = options.clock ?? systemClock()
  const limiter = createRateLimiter({ clock, rules: [] })
  const client = createHttpClient({ clock, limiter, quickRetryDelayMs: 1, ...options })
  const scope = new Scope()
  scope.onRelease(() => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  })
  scope.onRelease(() => client.close())
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { client, scope, host, url: `http://${host}`, stats: () => client.stats()[host] }
}

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(value))
}

test('GET sends its query and returns the JSON; POST sends a JSON body', async () => {
  const { client, scope, url, stats } = await setUp((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () =>
      json(response, { path: request.url, method: request.method, type: request.headers['content-type'], body }),
    )
  })
  await using _ = scope
  const query = { ids: ['a', 'b c'], limit: 3, closed: false, missing: undefined }
  assert.deepEqual(await client.getJson(`${url}/markets?x=1`, { signal: never, query }), {
    path: '/markets?x=1&ids=a&ids=b+c&limit=3&closed=false',
    method: 'GET',
    body: '',
  })
  const posted = await client.postJson(new URL('/books', url), [{ token_id: '1' }], { signal: never })
  const expected = { path: '/books', method: 'POST', type: 'application/json', body: '[{"token_id":"1"}]' }
  assert.deepEqual(posted, expected)
  assert.deepEqual(stats()?.status, { '2xx': 2 })
  assert.equal(stats()?.requests, 2)
  assert.equal(stats()?.errors, 0)
})

test('compressed bodies are decoded, and a truncated one is a transient error', async () => {
  const packed = gzipSync(JSON.stringify({ some: 'thing'.repeat(1000) }))
  const { client, scope, url } = await setUp((request, response) => {
    const type = { 'content-type': 'application/json' }
    if (request.url === '/gzip') response.writeHead(200, { ...type, 'content-encoding': 'gzip' }).end(packed)
    if (request.url === '/br')
      response.writeHead(200, { ...type, 'content-encoding': 'br' }).end(brotliCompressSync('[1]'))
    if (request.url === '/cut')
      response.writeHead(200, { ...type, 'content-encoding': 'gzip' }).end(packed.subarray(0, 30))
    if (request.url === '/odd') response.writeHead(200, { ...type, 'content-encoding': 'zpaq' }).end('[1]')
  })
  await using _ = scope
  assert.deepEqual(await client.getJson(`${url}/gzip`, { signal: never }), { some: 'thing'.repeat(1000) })
  assert.deepEqual(await client.getJson(`${url}/br`, { signal: never }), [1])
  await assert.rejects(client.getJson(`${url}/cut`, { signal: never }), transient(/truncated gzip body/))
  await assert.rejects(client.getJson(`${url}/odd`, { signal: never }), transient(/unknown encoding: zpaq/))
})

test('a web page instead of JSON is transient under any status, and its words are in the error', async () => {
  const page =
    '<!DOCTYPE html><html><style>b{}</style><body><h1>Error 1015</h1>You are being rate limited</body></html>'
  const { client, scope, url } = await setUp((request, response) => {
    const status = Number(request.url?.slice(1))
    response.writeHead(status, { 'content-type': status === 200 ? 'application/json' : 'text/html' }).end(page)
  })
  await using _ = scope
  for (const status of [200, 403, 404]) {
    const expected = transient(new RegExp(`answered ${status} .*Error 1015 You are being rate limited`))
    await assert.rejects(client.getJson(`${url}/${status}`, { signal: never }), expected)
  }
})

test('425, 429 and 5xx are transient and carry Retry-After; other 4xx carry status and body', async () => {
  const clock = new SimulatedClock(Date.UTC(2026, 8, 30, 12, 0, 0))
  const { client, scope, url, stats } = await setUp(
    (request, response) => {
      const [, status = '', after] = request.url?.split('/') ?? []
      if (after) response.setHeader('retry-after', decodeURIComponent(after))
      if (status === '418') response.writeHead(418, { 'content-type': 'text/plain' }).end('short and stout')
      else json(response, { error: 'no', status }, Number(status))
    },
    { clock },
  )
  await using _ = scope
  const failure = (path: string) => rejection(client.getJson(url + path, { signal: never }))
  const retryAfter = async (path: string) => {
    const error = await failure(path)
    assert.ok(error instanceof TransientError, String(error))
    await clock.advance(RESTED_MS) // the host is left alone for as long as it asked
    return error.retryAfterMs
  }
  assert.equal(await retryAfter('/425'), undefined)
  assert.equal(await retryAfter('/429'), undefined)
  assert.equal(await retryAfter('/500'), undefined)
  assert.equal(await retryAfter('/429/7'), 7000)
  assert.equal(await retryAfter('/503/999999'), 600_000)
  const date = new Date(clock.wallMs() + 90_000).toUTCString()
  assert.equal(await retryAfter(`/503/${encodeURIComponent(date)}`), 90_000)
  assert.equal(await retryAfter('/503/soon'), undefined)
  const refused = await failure('/404')
  assert.ok(refused instanceof HttpStatusError)
  assert.equal(refused.status, 404)
  assert.deepEqual(refused.body, { error: 'no', status: '404' })
  const odd = await failure('/418')
  assert.ok(odd instanceof HttpStatusError)
  assert.equal(odd.body, 'short and stout')
  assert.deepEqual(stats()?.status, { '4xx': 5, '5xx': 4 })
  assert.equal(stats()?.errors, 9)
})
const RESTED_MS = 600_000

test('a host that asked for a pause is left alone: short pauses are waited out, long ones fail at once', async () => {
  const clock = new SimulatedClock()
  let calls = 0
  const { client, scope, url, stats } = await setUp(
    (_request, response) => {
      calls += 1
      if (calls === 1) response.setHeader('retry-after', '5')
      if (calls === 3) response.setHeader('retry-after', '60')
      json(response, calls, calls === 2 ? 200 : 429)
    },
    { clock },
  )
  await using _ = scope
  await assert.rejects(client.getJson(url, { signal: never }), transient(/429/))
  const waiting = client.getJson(url, { signal: never })
  await clock.advance(4999)
  assert.equal(calls, 1)
  await clock.advance(1)
  assert.equal(await waiting, 2)
  assert.equal(stats()?.throttledMs, 5000)
  await assert.rejects(client.getJson(url, { signal: never }), transient(/429/))
  const refused = await rejection(client.getJson(url, { signal: never }))
  assert.ok(refused instanceof TransientError)
  assert.equal(refused.retryAfterMs, 60_000)
  assert.equal(calls, 3)
})

test('an oversized body is refused while it streams, before and after decompression', async () => {
  let sent = 0
  const { client, scope, url } = await setUp(
    (request, response) => {
      if (request.url === '/bomb') {
        const bomb = gzipSync(Buffer.alloc(1_000_000, 32))
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(bomb)
        return
      }
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 32))) sent += 65_536
      }
      response.on('drain', more)
      more()
    },
    { bodyBytesMax: 100_000 },
  )
  await using _ = scope
  await assert.rejects(client.getJson(`${url}/endless`, { signal: never }), transient(/more than 100000 bytes/))
  await assert.rejects(client.getJson(`${url}/bomb`, { signal: never }), transient(/more than 100000 bytes/))
  assert.ok(sent < 50_000_000, `${sent} bytes were taken`)
})

test('slow headers, a stalled body and a missed deadline are transient errors', async () => {
  const { client, scope, url } = await setUp(
    (request, response) => {
      if (request.url === '/body') response.writeHead(200, { 'content-type': 'application/json' }).write('[')
    },
    { headersTimeoutMs: 50, bodyTimeoutMs: 50 },
  )
  await using _ = scope
  await assert.rejects(client.getJson(`${url}/headers`, { signal: never }), transient(/Headers Timeout/))
  await assert.rejects(client.getJson(`${url}/body`, { signal: never }), transient(/Body Timeout/))
  const soon = client.getJson(`${url}/body`, { signal: never, deadlineMs: 20 })
  await assert.rejects(soon, transient(/took longer than 0.02 s/))
})

test('a reset connection is tried once more, and only once', async () => {
  let calls = 0
  const { client, scope, url, stats } = await setUp((request, response) => {
    calls += 1
    if (request.url === '/once' && calls > 1) return json(response, 'second time')
    if (request.url === '/cut') {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }).write('[1')
      setImmediate(() => request.socket.destroy())
      return
    }
    request.socket.resetAndDestroy()
  })
  await using _ = scope
  assert.equal(await client.getJson(`${url}/once`, { signal: never }), 'second time')
  assert.deepEqual([calls, stats()?.retries], [2, 1])
  await assert.rejects(client.getJson(`${url}/always`, { signal: never }), transient(/failed/))
  assert.deepEqual([calls, stats()?.retries], [4, 2])
  await assert.rejects(client.getJson(`${url}/cut`, { signal: never }), transient(/failed/))
  assert.deepEqual([calls, stats()?.retries, stats()?.errors], [6, 3, 2])
})

test('a refused connection is a transient error that names the host', async () => {
  const { client, scope, url, host } = await setUp(() => {})
  await scope.close()
  const clock = systemClock()
  const other = createHttpClient({ clock, limiter: createRateLimiter({ clock, rules: [] }), quickRetryDelayMs: 1 })
  await assert.rejects(other.getJson(`${url}/x?y=1`, { signal: never }), transient(/ECONNREFUSED/))
  assert.equal(other.stats()[host]?.retries, 1)
  await other.close()
  await client.close()
})

test('redirects of a GET are followed three times, never to another scheme; those of a POST are not', async () => {
  const { client, scope, url } = await setUp((request, response) => {
    const left = Number(request.url?.slice(1))
    if (request.url === '/file') response.writeHead(302, { location: 'file:///etc/passwd' }).end()
    else if (left === 0) json(response, 'arrived')
    else response.writeHead(307, { location: `/${left - 1}` }).end()
  })
  await using _ = scope
  assert.equal(await client.getJson(`${url}/3`, { signal: never }), 'arrived')
  await assert.rejects(client.getJson(`${url}/4`, { signal: never }), transient(/too often/))
  await assert.rejects(client.getJson(`${url}/file`, { signal: never }), transient(/redirected to file:/))
  await assert.rejects(client.postJson(`${url}/1`, {}, { signal: never }), transient(/a POST does not follow/))
})

test('a redirect never leaves TLS', () => {
  const call = { method: 'GET', url: new URL('https://venue.test/a'), body: null } as const
  assert.throws(() => redirectTarget(call, 'http://venue.test/b'), transient(/redirected to http:/))
  assert.throws(() => redirectTarget(call, undefined), transient(/to nowhere/))
  assert.equal(redirectTarget(call, '../b?c=1').href, 'https://venue.test/b?c=1')
})

test('an abort ends a request under way and one that waits for its turn', async () => {
  const clock = systemClock()
  let arrived = () => {}
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const { client, scope, url, host } = await setUp(() => arrived())
  await using _ = scope
  const abort = new AbortController()
  const request = client.getJson(url, { signal: abort.signal })
  await arrival
  abort.abort()
  await assert.rejects(request, transient(/was stopped/))

  const limiter = createRateLimiter({ clock, rules: [{ host, paths: [], limit: 1, windowMs: 3_600_000 }] })
  const slow = createHttpClient({ clock, limiter })
  await limiter.take(new URL(url), never)
  const second = new AbortController()
  const waiting = slow.getJson(url, { signal: second.signal })
  second.abort()
  await assert.rejects(waiting, transient(/was stopped/))
  assert.equal(slow.stats()[host]?.requests, 0)
  await slow.close()
})

function transient(pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof TransientError, String(error))
    assert.match(error.message, pattern)
    return true
  }
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  assert.fail('it should have been rejected')
}

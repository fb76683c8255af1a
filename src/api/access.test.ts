import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type Asked, ask, startTestApi, type TestApi } from '../../test/support/api.ts'
import { PermanentError } from '../core/errors.ts'
import { hostName, isAllowedHost, isLoopback, isSameOrigin } from './host.ts'

const TOKEN = 'a token with sixteen characters'.replaceAll(' ', '-')
const JSON_TYPE = { 'content-type': 'application/json' }

/** Sends bytes as they are and returns the whole answer. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let answer = ''
    socket.on('data', (data) => {
      answer += data.toString()
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(answer))
  })
}

async function expectProblem(port: number, path: string, asked: Asked, status: number, parameter?: string) {
  const { status: given, headers, body, text } = await ask(port, path, asked)
  assert.equal(given, status, `${path} ${text}`)
  assert.equal(headers['content-type'], 'application/problem+json; charset=utf-8')
  assert.equal(body['status'], status)
  assert.equal(typeof body['detail'], 'string')
  assert.equal(body['parameter'], parameter)
  assert.equal(headers['access-control-allow-origin'], undefined)
}

describe('without a token', () => {
  let it: TestApi
  before(async () => {
    it = await startTestApi({ allowedHosts: ['tape.example'] })
  })
  after(() => it.api.close())

  test('wrong parameters are named and nothing else happens', async () => {
    for (const [path, parameter] of [
      ['/api/fetcher/logs?limit=-1', 'limit'],
      ['/api/fetcher/logs?limit=1e9', 'limit'],
      ['/api/fetcher/logs?limit=1001', 'limit'],
      ['/api/fetcher/logs?limit=0', 'limit'],
      ['/api/fetcher/logs?limit=1&limit=2', 'limit'],
      ['/api/fetcher/logs?offset=-5', 'offset'],
      ['/api/fetcher/logs?level=nope', 'level'],
      ['/api/fetcher/logs?before=x', 'before'],
      ['/api/fetcher/logs?colour=red', 'colour'],
      ['/api/fetcher/recent-updates?limit=', 'limit'],
      ['/api/fetcher/status?x=1', 'x'],
      ['/api/collectors/polymarket.prices/cycles?before=-1', 'before'],
    ] as const) {
      await expectProblem(it.api.port, path, {}, 400, parameter)
    }
    assert.deepEqual(it.lines, [])
  })

  test('what is not there is a problem as well', async () => {
    await expectProblem(it.api.port, '/api/nope', {}, 404)
    await expectProblem(it.api.port, '/api/collectors/nope', {}, 404, 'name')
    await expectProblem(it.api.port, '/api/fetcher/status', { method: 'POST', headers: JSON_TYPE, body: '{}' }, 404)
    await expectProblem(it.api.port, '/%zz', {}, 400)
    await expectProblem(it.api.port, '/..%2f..%2fetc/passwd', {}, 404)
  })

  test('only known names may be asked for, on every route', async () => {
    const port = it.api.port
    for (const path of ['/', '/metrics', '/api/health', '/api/nope', '/api/openapi.json']) {
      await expectProblem(port, path, { headers: { host: 'evil.example' } }, 403, 'Host')
    }
    for (const host of [
      'localhost',
      `127.0.0.1:${port}`,
      'x.localhost:1',
      '[::1]:8090',
      '192.168.1.2',
      'TAPE.example',
    ]) {
      assert.equal((await ask(port, '/api/health', { headers: { host } })).status, 200, host)
    }
    assert.match(await raw(port, 'GET /api/health HTTP/1.1\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /)
    const two = 'GET /api/health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n'
    assert.match(await raw(port, two), /^HTTP\/1\.1 (?:400|403) /)
  })

  test('another page may ask nothing', async () => {
    const { port } = it.api
    const own = `http://127.0.0.1:${port}`
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1', `http://localhost:${port}`]) {
      await expectProblem(port, '/api/health', { headers: { origin } }, 403, 'Origin')
    }
    await expectProblem(port, '/api/health', { headers: { 'sec-fetch-site': 'cross-site' } }, 403, 'Origin')
    assert.equal((await ask(port, '/api/health', { headers: { origin: own } })).status, 200)
    await expectProblem(
      port,
      '/api/health',
      { method: 'OPTIONS', headers: { origin: 'https://evil.example' } },
      403,
      'Origin',
    )
  })

  test('too long and too large', async () => {
    const { port } = it.api
    await expectProblem(port, `/api/fetcher/logs?search=${'x'.repeat(3_000)}`, {}, 414)
    const huge = await raw(port, `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    assert.match(huge, /^HTTP\/1\.1 431 .*application\/problem\+json/s)
    const body = JSON.stringify({ token: 'x'.repeat(20_000) })
    await expectProblem(port, '/api/session', { method: 'POST', headers: JSON_TYPE, body }, 413)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    await expectProblem(port, '/api/session', { method: 'POST', headers: form, body: 'token=x' }, 415, 'Content-Type')
    assert.match(await raw(port, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 .*problem\+json/s)
  })

  test('every answer has a strict content policy and none is kept', async () => {
    for (const path of ['/', '/api/health', '/api/nope', '/metrics']) {
      const { headers } = await ask(it.api.port, path)
      const policy = String(headers['content-security-policy'])
      assert.match(policy, /default-src 'none'/)
      assert.doesNotMatch(policy, /unsafe|\*|http:/)
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['x-content-type-options'], 'nosniff')
    }
  })

  test('there is nothing to sign in to', async () => {
    assert.deepEqual((await ask(it.api.port, '/api/session')).body, { token_required: false, signed_in: true })
    const asked: Asked = { method: 'POST', headers: JSON_TYPE, body: '{"token":"x"}' }
    await expectProblem(it.api.port, '/api/session', asked, 409)
  })
})

describe('with a token', () => {
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
  const signIn = (port: number, token: string) =>
    ask(port, '/api/session', { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ token }) })

  test('nothing without it but the page and signing in', async () => {
    const it = await startTestApi({ token: TOKEN })
    try {
      const { port } = it.api
      const paths = ['/api/health', '/api/fetcher/status', '/api/events', '/metrics', '/api/openapi.json', '/api/nope']
      for (const path of paths) await expectProblem(port, path, {}, 401)
      assert.equal((await ask(port, '/')).status, 200)
      assert.deepEqual((await ask(port, '/api/session')).body, { token_required: true, signed_in: false })
      await expectProblem(port, '/api/health', bearer(`${TOKEN}x`), 401)
      await expectProblem(port, '/api/health', { headers: { authorization: `Basic ${TOKEN}` } }, 401)
      await expectProblem(port, `/api/health?token=${TOKEN}`, {}, 401)
      assert.equal((await ask(port, '/api/health', bearer(TOKEN))).status, 200)
    } finally {
      await it.api.close()
    }
  })

  test('people sign in once, for a cookie that ends', async () => {
    const it = await startTestApi({ token: TOKEN })
    try {
      const { port } = it.api
      assert.equal((await signIn(port, 'not the token')).status, 401)
      const { status, headers } = await signIn(port, TOKEN)
      assert.equal(status, 200)
      const set = String(headers['set-cookie'])
      assert.match(set, /^tapekeeper_session=[\w-]{43}; Path=\/; Max-Age=604800; HttpOnly; SameSite=Strict$/)
      const cookie = set.split(';')[0] ?? ''
      const withCookie = { headers: { cookie: `other=1; ${cookie}` } }
      assert.equal((await ask(port, '/api/health', withCookie)).status, 200)
      assert.equal((await ask(port, '/api/health', { headers: { cookie: 'tapekeeper_session=made-up' } })).status, 401)
      await it.clock.advance(7 * 86_400_000)
      assert.equal((await ask(port, '/api/health', withCookie)).status, 401)
      const again = String((await signIn(port, TOKEN)).headers['set-cookie']).split(';')[0] ?? ''
      assert.equal((await ask(port, '/api/health', { headers: { cookie: again } })).status, 200)
      await ask(port, '/api/session', { method: 'DELETE', headers: { cookie: again } })
      assert.equal((await ask(port, '/api/health', { headers: { cookie: again } })).status, 401)
    } finally {
      await it.api.close()
    }
  })

  test('guessing is slow, also when the right one comes at last', async () => {
    const it = await startTestApi({ token: TOKEN })
    try {
      const { port } = it.api
      for (let guess = 0; guess < 10; guess += 1) assert.equal((await signIn(port, `guess ${guess}`)).status, 401)
      assert.equal((await signIn(port, TOKEN)).status, 429)
      assert.equal((await ask(port, '/api/health', bearer(TOKEN))).status, 429)
      await it.clock.advance(60_000)
      assert.equal((await signIn(port, TOKEN)).status, 200)
      assert.doesNotMatch(it.lines.join(), new RegExp(TOKEN))
    } finally {
      await it.api.close()
    }
  })

  test('an address that others can reach needs one', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'tape.example']) {
      await assert.rejects(startTestApi({ host }), (error: unknown) => {
        assert.ok(error instanceof PermanentError)
        assert.equal(error.exitCode, 78)
        assert.match(error.message, /TAPEKEEPER_API_TOKEN/)
        return true
      })
    }
    const it = await startTestApi({ host: '0.0.0.0', token: TOKEN })
    await it.api.close()
  })
})

test('too many requests of one address', async () => {
  const it = await startTestApi({ requestsPerMinute: 5 })
  try {
    for (let n = 0; n < 5; n += 1) assert.equal((await ask(it.api.port, '/api/health')).status, 200)
    await expectProblem(it.api.port, '/api/health', {}, 429)
  } finally {
    await it.api.close()
  }
})

test('a port in use is one clear line and exit code 73', async () => {
  const it = await startTestApi()
  await assert.rejects(startTestApi({ port: it.api.port }), (error: unknown) => {
    assert.ok(error instanceof PermanentError)
    const where = `127.0.0.1:${it.api.port}`
    const expected = `cannot serve the API on ${where}: the port is in use; set TAPEKEEPER_API_ADDRESS to a free one`
    assert.deepEqual([error.message, error.exitCode], [expected, 73])
    return true
  })
  await it.api.close()
})

test('hosts and origins', () => {
  assert.deepEqual(['a.b:80', '[::1]', '[::1]:9', 'A.', 'a b', 'a:b', '', 'a@b', undefined].map(hostName), [
    'a.b',
    '::1',
    '::1',
    'a',
    null,
    null,
    null,
    null,
    null,
  ])
  assert.deepEqual(
    ['localhost', '10.0.0.1', 'localhost.evil.example', 'evillocalhost', 'mine.example'].map((host) =>
      isAllowedHost(host, ['mine.example']),
    ),
    [true, true, false, false, true],
  )
  assert.deepEqual(
    ['127.0.0.1', '127.9.9.9', '::1', 'localhost', '0.0.0.0', '::', '10.0.0.1', '127.evil.example'].map(isLoopback),
    [true, true, true, true, false, false, false, false],
  )
  assert.ok(isSameOrigin({ origin: 'https://a:1', host: 'a:1', site: 'same-origin' }))
  assert.ok(!isSameOrigin({ origin: 'https://a:2', host: 'a:1', site: undefined }))
})

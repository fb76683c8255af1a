import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Asked, ask, startTestApi, type TestApi } from '../../test/support/api.ts'

const TOKEN = 'a-token-with-sixteen-characters'
const JSON_TYPE = { 'content-type': 'application/json' }
/** What stands for the parts of a path. */
const PLACES: Readonly<Record<string, string>> = {
  name: 'polymarket.prices',
  condition_id: `0x${'a'.repeat(64)}`,
  token_id: '7'.repeat(70),
  signal_id: '7',
}
/** Whoever wants to sign in has no token yet. */
const OPEN = ['/api/session']

interface Operation {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** Names of what may be asked in the query. */
  readonly query: readonly string[]
}

/** Every endpoint that the OpenAPI document has. */
async function operationsOf({ api }: TestApi, headers: Record<string, string> = {}): Promise<readonly Operation[]> {
  const { body } = await ask(api.port, '/api/openapi.json', { headers })
  const paths = body['paths'] as Record<string, Record<string, { parameters?: { name: string; in: string }[] }>>
  return Object.entries(paths).flatMap(([pattern, methods]) => {
    const path = pattern.replaceAll(/\{(\w+)\}/g, (_, name: string) => PLACES[name] ?? 'x')
    return Object.entries(methods)
      .filter(([method]) => method !== 'head')
      .map(([method, { parameters = [] }]) => {
        const query = parameters.filter((one) => one.in === 'query').map(({ name }) => name)
        return { method: method.toUpperCase() as Operation['method'], path, query }
      })
  })
}

const request = ({ method }: Operation, headers: Record<string, string> = {}): Asked =>
  method === 'POST' ? { method, headers: { ...JSON_TYPE, ...headers }, body: '{}' } : { method, headers }

describe('every endpoint', () => {
  let it: TestApi
  let operations: readonly Operation[]
  let touched = 0
  before(async () => {
    const touch = () => {
      touched += 1
      return Promise.reject(new Error('the ledger was asked'))
    }
    it = await startTestApi({
      ledger: { view: touch },
      desk: { ensureAsset: touch, untrackAsset: touch, createPortfolio: touch, append: touch },
      logs: { getRecentLogs: touch, status: () => ({ queued: 0, stored: 0, dropped: 0, trouble: null }) },
    })
    operations = await operationsOf(it)
    assert.ok(operations.length >= 25, `only ${operations.length} endpoints`)
  })
  after(async () => {
    await it.api.close()
  })

  /** The ledger was not asked, and nothing was logged. */
  const expectRefusal = async (
    operation: Operation,
    path: string,
    asked: Asked,
    status: number,
    parameter?: string,
  ) => {
    touched = 0
    const answer = await ask(it.api.port, path, asked)
    const what = `${operation.method} ${path}`
    assert.equal(answer.status, status, `${what}: ${answer.text}`)
    assert.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8', what)
    if (parameter !== undefined) assert.equal(answer.body['parameter'], parameter, what)
    assert.deepEqual([touched, it.lines], [0, []], what)
  }

  test('with a limit refuses those that are none, or too large', async () => {
    const limited = operations.filter(({ query }) => query.includes('limit'))
    assert.ok(limited.length >= 12, `only ${limited.length} endpoints have a limit`)
    for (const operation of limited) {
      for (const limit of ['-1', '0', '1e9', '1000000000', '1.5', 'x', '']) {
        await expectRefusal(operation, `${operation.path}?limit=${limit}`, request(operation), 400, 'limit')
      }
    }
  })

  test('refuses what it does not know', async () => {
    const reads = operations.filter(({ method, path }) => method === 'GET' && path.startsWith('/api/'))
    for (const operation of reads) {
      await expectRefusal(operation, `${operation.path}?colour=red`, request(operation), 400, 'colour')
    }
    for (const operation of operations.filter(({ query }) => query.includes('offset'))) {
      await expectRefusal(operation, `${operation.path}?offset=-1`, request(operation), 400, 'offset')
    }
    const posts = operations.filter(({ method }) => method === 'POST')
    assert.ok(posts.length >= 5)
    for (const operation of posts) {
      await expectRefusal(operation, operation.path, { ...request(operation), body: '{"colour":"red"}' }, 400)
      await expectRefusal(operation, operation.path, { ...request(operation), body: '{"' }, 400)
    }
  })

  test('answers under known names only, and to no other page', async () => {
    for (const operation of operations) {
      const from = (headers: Record<string, string>) => request(operation, headers)
      await expectRefusal(operation, operation.path, from({ host: 'evil.example' }), 403, 'Host')
      await expectRefusal(operation, operation.path, from({ origin: 'https://evil.example' }), 403, 'Origin')
      await expectRefusal(operation, operation.path, from({ 'sec-fetch-site': 'cross-site' }), 403, 'Origin')
    }
  })

  test('has a longest address', async () => {
    for (const operation of operations) {
      await expectRefusal(operation, `${operation.path}?x=${'x'.repeat(2_100)}`, request(operation), 414)
    }
  })

  test('that changes something takes JSON alone', async () => {
    for (const operation of operations.filter(({ method }) => method !== 'GET')) {
      const form = { 'content-type': 'application/x-www-form-urlencoded' }
      const asked = { method: operation.method, headers: form, body: 'a=b' }
      await expectRefusal(operation, operation.path, asked, 415, 'Content-Type')
    }
  })
})

test('nothing without the token', async () => {
  const it = await startTestApi({ token: TOKEN })
  try {
    const operations = await operationsOf(it, { authorization: `Bearer ${TOKEN}` })
    for (const operation of operations.filter(({ path }) => !OPEN.includes(path))) {
      const { status, headers } = await ask(it.api.port, operation.path, request(operation))
      assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer realm="tapekeeper"'], operation.path)
    }
  } finally {
    await it.api.close()
  }
})

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask, startTestApi, type TestApi } from '../../test/support/api.ts'
import { healthyBoard } from '../../test/support/board.ts'
import type { Signal } from '../core/signals.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { freshLedger } from '../ledger/test-server.ts'
import * as schemas from './schemas/signals.ts'

const SEEN_MS = Date.UTC(2026, 4, 15, 12)
const MARKET = `0x${'a'.repeat(64)}`
const OUTCOME = {
  ...{ state: 'ok' as const, startedMs: SEEN_MS, durationMs: 12.5, requests: 1, bytes: 2_000, items: 30 },
  ...{ damaged: 1, dropped: 0, error: null },
}

function signal(n: number): Signal {
  return {
    source: n % 2 === 0 ? 'feed:a' : 'page:b',
    externalId: n % 2 === 0 ? `id ${n}` : null,
    url: `https://news.example/${n}`,
    title: n === 7 ? '<script>alert(1)</script>\u0000' : `Dispatch ${n} of Zürich`,
    summary: n % 3 === 0 ? 'about copper' : 'about tin',
    publishedMs: n % 5 === 0 ? null : SEEN_MS - n * 1_000,
    seenMs: SEEN_MS,
    keywords: n % 3 === 0 ? ['copper'] : [],
    companies: n === 4 ? ['Nordwind, "Energy"'] : [],
    raw: { n, 'odd "key"': '\u0000' },
    keys: [{ kind: 'url', hash: n.toString(16).padStart(32, '0') }],
  }
}

describe('signals over HTTP', { concurrency: false }, () => {
  let ledger: Ledger
  let it: TestApi
  let runId = 0
  before(async () => {
    ledger = (await freshLedger()).ledger
    const begun = { recorderId: 'r', trigger: 'schedule' as const, startedMs: SEEN_MS, sources: ['feed:a', 'page:b'] }
    await ledger.beginRun({ ...begun, startedMs: SEEN_MS - 1_000 })
    runId = await ledger.beginRun(begun)
    const all = Array.from({ length: 30 }, (_, n) => signal(n))
    for (const source of ['feed:a', 'page:b']) {
      await ledger.saveSource(
        runId,
        { ...OUTCOME, source },
        all.filter((one) => one.source === source),
        null,
      )
    }
    const linkable = await ledger.loadLinkable({ sinceMs: SEEN_MS, linksMax: 10, limit: 100, before: null })
    const linked = linkable.find(({ title }) => title.startsWith('Dispatch 4')) ?? assert.fail()
    const link = { signalId: linked.signalId, conditionId: MARKET, score: 3, reason: 'both name Zürich' }
    assert.equal(await ledger.saveLinks([link, { ...link, signalId: 999_999 }]), 1)
    await ledger.finishRun(runId, { state: 'succeeded', finishedMs: SEEN_MS + 5_000, error: null })
    it = await startTestApi({ ledger, board: healthyBoard })
  })
  after(async () => {
    await it.api.close()
    await ledger.close()
  })

  async function signals(query: string) {
    const { status, body } = await ask(it.api.port, `/api/signals?${query}`)
    assert.equal(status, 200, JSON.stringify(body))
    return schemas.signals.parse(body)
  }
  const numbers = async (query: string) =>
    (await signals(query)).signals.map(({ url }) => Number(url?.split('/').at(-1))).sort((a, b) => a - b)

  test('come newest first, a page at a time, each once', async () => {
    const seen: number[] = []
    for (let before = ''; ; ) {
      const page = await signals(`limit=7${before}`)
      seen.push(...page.signals.map(({ id }) => id))
      if (page.next_before === null) break
      before = `&before=${page.next_before}`
    }
    assert.equal(new Set(seen).size, 30)
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => b - a),
    )
  })

  test('are found by source, words, keyword, company and market', async () => {
    assert.equal((await numbers('source=feed%3Aa')).length, 15)
    assert.deepEqual(await numbers('search=zürich+disp+copp'), [0, 3, 6, 9, 12, 15, 18, 21, 24, 27])
    assert.deepEqual(await numbers('keyword=copper&source=page%3Ab'), [3, 9, 15, 21, 27])
    assert.deepEqual(await numbers(`company=${encodeURIComponent('Nordwind, "Energy"')}`), [4])
    assert.deepEqual(await numbers(`condition_id=${MARKET}`), [4])
    assert.deepEqual(await numbers('source=nobody'), [])
  })

  test('say which markets they are about, and why', async () => {
    const [found] = (await signals(`condition_id=${MARKET}`)).signals
    assert.ok(found)
    assert.deepEqual(found.markets, [{ condition_id: MARKET, question: null, score: 3, reason: 'both name Zürich' }])
    const { body } = await ask(it.api.port, `/api/signals/${found.id}`)
    assert.deepEqual(schemas.signalDetail.parse(body).raw, { n: 4, 'odd "key"': '\ufffd' })
    assert.deepEqual([found.published_at, found.seen_at], ['2026-05-15T11:59:56.000Z', '2026-05-15T12:00:00.000Z'])
  })

  test('runs have the progress of each source; one that never ended is closed by the next', async () => {
    const { body } = await ask(it.api.port, '/api/scrape-runs')
    const { runs } = schemas.scrapeRuns.parse(body)
    assert.deepEqual(
      runs.map(({ id, state, finished_at }) => [id, state, finished_at]),
      [
        [runId, 'succeeded', '2026-05-15T12:00:05.000Z'],
        [runId - 1, 'interrupted', '2026-05-15T12:00:00.000Z'],
      ],
    )
    assert.deepEqual(
      runs.map(({ sources }) => sources.map(({ source, state, stored, damaged }) => [source, state, stored, damaged])),
      [
        [
          ['feed:a', 'ok', 15, 1],
          ['page:b', 'ok', 15, 1],
        ],
        [
          ['feed:a', 'waiting', 0, 0],
          ['page:b', 'waiting', 0, 0],
        ],
      ],
    )
  })

  test('what cannot be asked is refused with its parameter', async () => {
    for (const [path, status, parameter] of [
      ['/api/signals?limit=201', 400, 'limit'],
      ['/api/signals?before=x', 400, 'before'],
      ['/api/signals?condition_id=1', 400, 'condition_id'],
      ['/api/signals/0', 400, 'signal_id'],
      ['/api/signals/9999999', 404, 'signal_id'],
      ['/api/scrape-runs?limit=51', 400, 'limit'],
    ] as const) {
      const { status: got, body } = await ask(it.api.port, path)
      assert.deepEqual([got, body['parameter']], [status, parameter], path)
    }
  })
})

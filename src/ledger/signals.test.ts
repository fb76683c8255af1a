import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Signal, SignalKey } from '../core/signals.ts'
import type { Ledger } from './ledger.ts'
import { insertSignals } from './signals.ts'
import { freshLedger, testServerKinds } from './test-server.ts'

const SEEN_MS = Date.UTC(2026, 4, 15, 12)
const DAY_MS = 86_400_000
const SOURCE = 'feed:a'
const OUTCOME = {
  ...{ source: SOURCE, state: 'ok' as const, startedMs: SEEN_MS, durationMs: 10, requests: 1, bytes: 1, items: 1 },
  ...{ damaged: 0, dropped: 0, error: null },
}

const key = (text: string): SignalKey => ({
  kind: text.startsWith('u') ? 'url' : text.startsWith('i') ? 'id' : 'content',
  hash: Buffer.from(text).toString('hex').padStart(32, '0'),
})

/** A signal with these keys: `u1`, `i1`, `c1`. */
function signal(title: string, keys: readonly string[], change: Partial<Signal> = {}): Signal {
  return {
    ...{ source: SOURCE, externalId: null, url: `https://a.example/${title}`, title, summary: '', publishedMs: null },
    ...{ seenMs: SEEN_MS, keywords: [], companies: [], raw: {}, keys: keys.map(key) },
    ...change,
  }
}

for (const kind of testServerKinds()) {
  describe(`signals on ${kind.name}`, { concurrency: false }, () => {
    let ledger: Ledger
    let runId = 0
    before(async () => {
      ledger = (await freshLedger({ kind })).ledger
      const sources = [SOURCE]
      runId = await ledger.beginRun({ recorderId: 'r', trigger: 'command', startedMs: SEEN_MS, sources })
    })
    after(() => ledger.close())

    const save = (...signals: Signal[]) => ledger.saveSource(runId, OUTCOME, signals, null)
    const titles = async (like: string) => {
      const rows = await ledger.read<{ title: string }>('SELECT title FROM signals WHERE title LIKE $1 ORDER BY 1', [
        like,
      ])
      return rows.map(({ title }) => title)
    }

    test('are one by any key, and what is one brings its other keys along', async () => {
      const given = [signal('a1', ['u1', 'c1']), signal('a2', ['u2', 'c1']), signal('a3', ['u2', 'c2'])]
      assert.deepEqual(await save(...given), { stored: 1, repeated: 2 })
      assert.deepEqual(await save(signal('a4', ['u3', 'c2'])), { stored: 0, repeated: 1 })
      assert.deepEqual(await save(signal('a5', ['u3'])), { stored: 0, repeated: 1 })
      assert.deepEqual(await titles('a%'), ['a1'])
      assert.deepEqual(await save(signal('a6', ['u6']), signal('a7', ['u7'])), { stored: 2, repeated: 0 })
    })

    test('are one by their words for 30 days', async () => {
      const later = (days: number) => ({ seenMs: SEEN_MS + days * DAY_MS })
      await save(signal('b1', ['u10', 'c10']))
      assert.equal((await save(signal('b2', ['u11', 'c10'], later(29)))).stored, 0)
      assert.equal((await save(signal('b3', ['u12', 'c10'], later(31)))).stored, 1)
      assert.equal((await save(signal('b4', ['u13', 'c10'], later(60)))).stored, 0, 'they count from the newest')
      assert.equal((await save(signal('b1', ['u10'], later(900)))).stored, 0, 'an address counts for ever')
    })

    test('are one for two who store them at the same time', async () => {
      const given = Array.from({ length: 5 }, (_, n) => signal(`c${n}`, [`u${1_000 + n}`]))
      const waiting = `SELECT count(*) AS n FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`
      const second = { result: save() }
      await ledger.write(async (session) => {
        await insertSignals(session, given)
        second.result = save(...given)
        // Until it has come as far as it can: this transaction is what it waits for.
        for (let n = 0; n === 0; ) n = Number((await ledger.read<{ n: string }>(waiting))[0]?.n)
      })
      assert.deepEqual(await second.result, { stored: 0, repeated: 5 })
      assert.equal((await titles('c%')).length, 5)
    })

    test('get the address that was missing when they were stored', async () => {
      await save(signal('d1', ['i1', 'c20'], { url: null }))
      assert.equal((await save(signal('d1 again', ['u20', 'c20'], { url: 'https://a.example/d' }))).stored, 0)
      const rows = await ledger.read('SELECT title, url FROM signals WHERE title LIKE $1', ['d1%'])
      assert.deepEqual(rows, [{ title: 'd1', url: 'https://a.example/d' }])
    })

    test('and their validators and progress are stored together or not at all', async () => {
      const document = { url: 'https://a.example', foundAt: 'https://b.example', etag: '"1"', lastModified: null }
      const state = { ...document, bodyHash: 'ab'.repeat(16) }
      await assert.rejects(
        ledger.saveSource(
          runId,
          OUTCOME,
          [signal('e1', ['u30']), signal('e2', ['u31'], { title: null as never })],
          state,
        ),
      )
      assert.deepEqual(await titles('e%'), [])
      assert.equal(await ledger.loadDocumentState(SOURCE), null)
      await ledger.saveSource(runId, OUTCOME, [signal('e1', ['u30'])], state)
      assert.deepEqual(await ledger.loadDocumentState(SOURCE), state)
      assert.deepEqual(await ledger.loadKnownKeys([key('u30').hash, key('u31').hash]), new Set([key('u30').hash]))
    })

    test('may hold any text', async () => {
      const odd = '\u0000\ud800 "\\{},\' NULL ü\u2028'
      await save(signal(`f ${odd}`, ['u40'], { summary: odd, keywords: [odd, 'null', ''], raw: { [odd]: [odd] } }))
      const rows = await ledger.read<{ keywords: string[]; title: string }>(
        "SELECT * FROM signals WHERE title LIKE 'f %'",
      )
      const clean = odd.replaceAll(/[\0\ud800]/g, '\ufffd')
      assert.deepEqual([rows[0]?.title, rows[0]?.keywords], [`f ${clean}`, [clean, 'null', '']])
    })

    test('go when raw rows do, and are not taken for new when they are listed still', async () => {
      await save(signal('g1', ['u50']))
      const report = await ledger.maintain(SEEN_MS + 92 * DAY_MS)
      assert.ok(report.signalsPurged > 0)
      assert.equal(report.scrapeRunsPurged, 1)
      assert.deepEqual(await titles('g%'), [])
      runId = await ledger.beginRun({ recorderId: 'r', trigger: 'command', startedMs: SEEN_MS, sources: [SOURCE] })
      assert.deepEqual(await save(signal('g1', ['u50'], { seenMs: SEEN_MS + 92 * DAY_MS })), { stored: 0, repeated: 1 })
    })
  })
}

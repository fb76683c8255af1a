import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask, startTestApi, type TestApi } from '../../test/support/api.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { freshLedger, quietLogger } from '../ledger/test-server.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { createDesk } from './desk.ts'

const NOW_MS = Date.UTC(2026, 4, 15, 12)

describe('portfolios and assets over the API', { concurrency: false }, () => {
  let ledger: Ledger
  let it: TestApi
  before(async () => {
    ledger = (await freshLedger()).ledger
    const clock = new SimulatedClock(NOW_MS)
    it = await startTestApi({ ledger, clock, desk: createDesk(ledger, clock, quietLogger()) })
  })
  after(async () => {
    await it.api.close()
    await ledger.close()
  })
  const get = (path: string) => ask(it.api.port, path)
  const send = (path: string, body: unknown, headers: Record<string, string> = {}) => {
    const json = { 'content-type': 'application/json', ...headers }
    return ask(it.api.port, path, { method: 'POST', headers: json, body: JSON.stringify(body) })
  }

  test('a portfolio is made once, and shown by name and by number', async () => {
    const made = await send('/api/portfolios', { name: 'savings', currency: 'usd' })
    assert.deepEqual([made.status, made.body['name'], made.body['currency']], [200, 'savings', 'USD'])
    const again = await send('/api/portfolios', { name: 'savings' })
    assert.deepEqual([again.status, again.body['parameter']], [409, 'name'])
    for (const path of ['savings', String(made.body['id'])]) {
      const { status, body } = await get(`/api/portfolios/${path}`)
      assert.deepEqual([status, body['name'], body['positions']], [200, 'savings', []])
      assert.equal((body['performance'] as Record<string, unknown>)['current_value'], '0')
    }
    assert.equal((await get('/api/portfolios/nobody')).status, 404)
  })

  test('a transaction is checked, stored, valued and seen', async () => {
    const path = '/api/portfolios/savings/transactions'
    const added = await send(path, { symbol: 'aapl', side: 'buy', quantity: '10', price: '187.15', time: '2026-05-01' })
    assert.deepEqual([added.status, added.body['added'], added.body['new_assets']], [200, 1, ['AAPL']], added.text)
    const sold = await send(path, { symbol: 'AAPL', side: 'sell', quantity: '10.5', price: '1' })
    assert.deepEqual(
      [sold.status, sold.body['detail']],
      [400, 'cannot sell 10.5 AAPL at 2026-05-15T12:00:00.000Z: only 10 held then'],
    )
    for (const [change, parameter] of [
      [{ quantity: '-1' }, 'quantity'],
      [{ price: undefined }, 'price'],
      [{ side: 'hold' }, 'side'],
      [{ time: '2027-01-01' }, 'time'],
      [{ type: 'house' }, 'type'],
      [{ surprise: '1' }, 'surprise'],
      [{ quantity: 7 }, 'quantity'],
    ] as const) {
      const draft = { symbol: 'AAPL', side: 'buy', quantity: '1', price: '1', ...change }
      const refused = await send(path, draft)
      assert.deepEqual([refused.status, refused.body['parameter']], [400, parameter], refused.text)
    }
    const listed = await get(path)
    assert.equal((listed.body['transactions'] as unknown[]).length, 1)
  })

  test('a price and the exchange’s currency give a value; snapshots show it over time', async () => {
    const [asset] = await ledger.loadTrackedAssets()
    assert.ok(asset)
    const quote = { atMs: NOW_MS - 1_000, price: '200', currency: 'USD', name: 'Apple', exchange: null }
    const day = { open: null, high: null, low: null, volume: null }
    const answer = { ok: true as const, quote: { ...quote, ...day } }
    await ledger.saveAttempts([{ asset, startedMs: NOW_MS, durationMs: 3, source: 'yahoo', answer }])
    await send('/api/portfolios/savings/transactions', { symbol: 'AAPL', side: 'sell', quantity: '1', price: '210' })
    const { body } = await get('/api/portfolios/savings')
    const performance = body['performance'] as Record<string, unknown>
    assert.deepEqual(
      [performance['current_value'], performance['profit'], performance['realized'], performance['missing']],
      ['1800', '115.65', '22.85', []],
    )
    const snapshots = await get('/api/portfolios/savings/snapshots?days=10')
    assert.deepEqual((snapshots.body['snapshots'] as unknown[]).length, 1)
    const assets = await get('/api/assets?search=appl&tracked=true')
    assert.deepEqual(
      (assets.body['assets'] as Record<string, unknown>[]).map((one) => [one['symbol'], one['price']]),
      [['AAPL', '200']],
    )
  })

  test('an import says line by line what is wrong, and stores nothing unless told to', async () => {
    const path = '/api/portfolios/savings/import'
    const csv = 'symbol,side,quantity,price,time\nMSFT,buy,2,400,2026-05-01\nMSFT,sell,3,400,2026-05-02\n'
    const refused = await send(path, { csv, dry_run: false })
    assert.deepEqual(refused.body['problems'], [
      { line: 3, message: 'cannot sell 3 MSFT at 2026-05-02T00:00:00.000Z: only 2 held then' },
    ])
    const good = csv.replace('sell,3', 'sell,2')
    const dry = await send(path, { csv: good })
    assert.deepEqual([dry.body['ok'], dry.body['dry_run'], dry.body['added']], [true, true, 2])
    assert.equal((await get('/api/assets?search=MSFT')).body['assets']?.toString(), '', 'nothing of it is left')
    assert.equal((await send(path, { csv: good, dry_run: false })).body['added'], 2)
  })

  test('an asset is tracked and let go, but not while it is held', async () => {
    const tracked = await send('/api/assets', { symbol: 'eurusd=x' })
    assert.deepEqual([tracked.status, tracked.body], [200, { symbol: 'EURUSD=X', type: 'currency', is_new: true }])
    assert.equal((await send('/api/assets', { symbol: 'not a symbol' })).body['parameter'], 'symbol')
    const remove = (symbol: string) =>
      ask(it.api.port, `/api/assets/${encodeURIComponent(symbol)}`, { method: 'DELETE', headers: {} })
    assert.equal((await remove('EURUSD=X')).status, 200)
    assert.equal((await remove('AAPL')).status, 409)
    assert.equal((await remove('NOBODY')).status, 404)
    assert.deepEqual((await get('/api/backfills')).body, { backfills: [] })
  })

  test('what another site sends changes nothing', async () => {
    const foreign = await send('/api/portfolios', { name: 'theirs' }, { origin: 'https://evil.example' })
    assert.equal(foreign.status, 403)
    const form = await ask(it.api.port, '/api/portfolios', {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: '{"name":"theirs"}',
    })
    assert.equal(form.status, 415)
    assert.equal((await get('/api/portfolios/theirs')).status, 404)
  })
})

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Ledger } from '../src/ledger/ledger.ts'
import { freshLedger } from '../src/ledger/test-server.ts'
import { systemClock } from '../src/runtime/system-clock.ts'
import { removeDirectory, temporaryDirectory } from './support/daemon.ts'
import { runProgram } from './support/processes.ts'

const USAGE = 64

describe('tapekeeper portfolio', { concurrency: false }, () => {
  let ledger: Ledger
  let directory: string
  let env: Record<string, string>
  before(async () => {
    const fresh = await freshLedger({ clock: systemClock() })
    ledger = fresh.ledger
    directory = await temporaryDirectory()
    env = { DATABASE_URL: fresh.url, TAPEKEEPER_DATA_DIR: directory }
  })
  after(async () => {
    await ledger.close()
    await removeDirectory(directory)
  })

  const run = (...args: string[]) => runProgram(['portfolio', ...args], { env })
  const succeed = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(...args)
    assert.equal(code, 0, stderr)
    return stdout.trim()
  }
  const refuse = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(...args)
    assert.deepEqual([code, stdout], [USAGE, ''], stderr)
    return stderr.trim()
  }
  const file = async (name: string, ...lines: string[]) => {
    const path = join(directory, name)
    await writeFile(path, lines.join('\n'))
    return path
  }
  const transactions = async () => {
    const { transactions: found } = JSON.parse(await succeed('show', 'savings', '--json'))
    return found as { symbol: string; side: string; quantity: string; notes: string | null }[]
  }

  test('create makes one in a currency, once', async () => {
    const [, made] = await Promise.all([
      refuse('create', '12').then((why) => assert.match(why, /the name of a portfolio is not a number/)),
      succeed('create', 'savings', '--currency', 'eur'),
      refuse('create', 'other', '--currency', 'euro').then((why) => assert.match(why, /currency is not one like USD/)),
    ])
    assert.equal(made, 'made the portfolio savings in EUR')
    assert.match(await refuse('create', 'savings'), /there is a portfolio savings already/)
    assert.equal(JSON.parse(await succeed('create', 'second', '--json')).currency, 'USD')
  })

  test('add-transaction checks, stores and says so', async () => {
    const given = ['add-transaction', 'savings', 'buy', 'sap.de', '10', '100.5']
    const more = ['--fee', '1', '--time', '2026-05-01', '--notes', 'first', '--currency', 'EUR']
    const { code, stdout, stderr } = await run(...given, ...more)
    assert.deepEqual([code, stdout.trim()], [0, 'savings: buy 10 SAP.DE at 100.5'], stderr)
    assert.match(stderr, /no prices are recorded: assets.enabled is false/)
    const [oversold, malformed, absent] = await Promise.all([
      refuse('add-transaction', 'savings', 'sell', 'SAP.DE', '11', '1', '--time', '2026-05-02'),
      refuse('add-transaction', 'savings', 'give', 'SAP.DE', '-1', '1e3'),
      refuse('add-transaction', 'nobody', 'buy', 'SAP.DE', '1', '1'),
    ])
    assert.match(oversold, /cannot sell 11 SAP.DE at 2026-05-02T00:00:00.000Z: only 10 held then/)
    assert.match(malformed, /side is buy or sell, not give; quantity is not a number.*; price is not a number/)
    assert.match(absent, /there is no portfolio nobody/)
    const [only, ...rest] = await transactions()
    assert.deepEqual([only?.symbol, only?.quantity, only?.notes, rest], ['SAP.DE', '10', 'first', []])
  })

  test('import --dry-run says what would happen and stores nothing; without it, all or nothing', async () => {
    const header = 'symbol,side,quantity,price,time'
    const good = await file('good.csv', header, 'MSFT,buy,2,400,2026-05-01', 'SAP.DE,sell,4,110,2026-05-04')
    const bad = await file('bad.csv', header, 'MSFT,buy,2,400,2026-05-01', 'MSFT,sell,3,1,2026-05-02', 'X,buy,y,1,')
    const oversold = await file('oversold.csv', header, 'MSFT,buy,2,400,2026-05-01', 'MSFT,sell,3,1,2026-05-02')
    const [dry, malformed, sold, absent] = await Promise.all([
      succeed('import', 'savings', good, '--dry-run'),
      refuse('import', 'savings', bad),
      refuse('import', 'savings', oversold),
      refuse('import', 'savings', join(directory, 'absent.csv')),
    ])
    assert.equal(dry, 'savings: would import 2 transactions; new assets: MSFT')
    assert.match(malformed, /bad\.csv:4 quantity is not a number like 12\.5: y\nnothing was imported: 1 problems/)
    assert.match(sold, /oversold\.csv:3 cannot sell 3 MSFT at .*: only 2 held then\nnothing was imported/)
    assert.match(absent, /cannot read .*absent\.csv/)
    assert.equal((await transactions()).length, 1, 'nothing of any of them is left')
    assert.equal(await succeed('import', 'savings', good), 'savings: imported 2 transactions; new assets: MSFT')
    const told = JSON.parse(await succeed('import', 'savings', good, '--dry-run', '--json'))
    assert.deepEqual(told, { ok: true, dry_run: true, added: 2, new_assets: [] })
    assert.deepEqual(
      (await transactions()).map(({ symbol, side }) => `${side} ${symbol}`),
      ['sell SAP.DE', 'buy MSFT', 'buy SAP.DE'],
    )
  })

  test('list and show tell values, and what is missing', async () => {
    const sap = (await ledger.loadTrackedAssets()).find(({ symbol }) => symbol === 'SAP.DE')
    assert.ok(sap)
    const day = { open: null, high: null, low: null, volume: null }
    const quote = { atMs: Date.now() - 60_000, price: '120', currency: 'EUR', name: 'SAP SE', exchange: null, ...day }
    await ledger.saveAttempts([
      { asset: sap, startedMs: quote.atMs, durationMs: 5, source: 'yahoo', answer: { ok: true, quote } },
    ])
    const [text, json] = await Promise.all([succeed('show', 'savings'), succeed('show', 'savings', '--json')])
    const { performance, positions, snapshots } = JSON.parse(json)
    assert.deepEqual(
      [performance.current_value, performance.invested, performance.realized, performance.missing_count],
      ['720', '603.6', '37.6', 3],
    )
    assert.deepEqual([positions.length, snapshots.length], [2, 1])
    assert.match(text, /^savings {3}720\.00 EUR {3}profit \+116\.40 \(\+19\.28 %\)/)
    assert.match(text, /missing: price of MSFT; what needs it is left out/)
    assert.match(await refuse('show', 'nobody'), /there is no portfolio nobody/)
    const listed = await succeed('list')
    assert.match(listed, /savings +720\.00 EUR +\+116\.40 .*3 prices or rates missing/)
    assert.match(listed, /second +0\.00 USD/)
    assert.deepEqual(
      JSON.parse(await succeed('list', '--json')).map(({ name }: { name: string }) => name),
      ['savings', 'second'],
    )
  })
})

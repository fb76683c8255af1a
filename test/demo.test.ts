import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import pg from 'pg'
import { freePort } from './support/daemon.ts'
import { runProgram, startProgram, until } from './support/processes.ts'

/** The demo as a newcomer runs it, seen from outside: what it prints, what it serves, what it leaves behind. */
test('the demo records a simulated venue and cleans up after itself', async () => {
  const demo = startProgram(['demo', '--markets', '20', '--rate', '200', '--log-level', 'debug'], {
    env: {
      HEALTH_PORT: String(await freePort()),
      // must not be used: simulated data has no place there
      DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:1/nowhere',
    },
  })
  const died = demo.ended.then(({ stderr }) => assert.fail(`the demo ended by itself:\n${stderr}`))
  const toldBy = (pattern: RegExp) =>
    Promise.race([until(`${pattern}`, () => pattern.exec(demo.stderr)?.[1], 30_000), died])
  died.catch(() => {}) // of interest only to those who wait
  try {
    const dataDir = await toldBy(/^ {2}data +(\S+) \(removed at the end\)$/m)
    const health = await toldBy(/^ {2}health +(\S+)$/m)
    const port = new URL(health).port
    await until(
      'a healthy recorder with trades',
      async () => {
        assert.ok(demo.alive, demo.stderr)
        const body = (await (await fetch(health)).json()) as {
          status: string
          trade_listener: { trades_inserted: number }
        }
        return body.status === 'healthy' && body.trade_listener.trades_inserted > 0 ? true : undefined
      },
      60_000,
    )
    const status = await runProgram(['status', '--set', `health.port=${port}`])
    assert.match(status.stdout, /^healthy /)
    assert.match(status.stdout, /^polymarket\.trades +running /m)
    assert.match(status.stdout, /^ledger +ok · embedded · PostgreSQL 18/m)
    assert.equal((await runProgram(['health', '--set', `health.port=${port}`])).stdout, 'healthy\n')
    assert.ok((await countTrades(dataDir)) > 0)
    assert.equal((await demo.end('SIGTERM')).code, 0, demo.stderr)
    assert.ok(!existsSync(dataDir), `${dataDir} was left behind`)
  } finally {
    await demo.end('SIGTERM')
  }
})

async function countTrades(dataDir: string): Promise<number> {
  const { stdout } = await runProgram(['config', '--connection-string', '--data-dir', dataDir])
  const client = new pg.Client({ connectionString: stdout.trim() })
  await client.connect()
  const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM v_trades')
  await client.end()
  return Number(rows[0]?.count)
}

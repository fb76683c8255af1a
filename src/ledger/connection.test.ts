import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTo, createServer, type Server, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { EXIT, PermanentError, TransientError } from '../core/errors.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { type Ledger, type LedgerOptions, openLedger } from './ledger.ts'
import { parseDatabaseUrl } from './target.ts'
import {
  administer,
  freshDatabase,
  freshLedger,
  quietLogger,
  type TestServerKind,
  testServerKinds,
} from './test-server.ts'

const PASSWORD = 'very-secret-word'

function open(databaseUrl: string, options: Partial<LedgerOptions> = {}): Ledger {
  return openLedger({ databaseUrl, dataDir: '', clock: systemClock(), log: quietLogger(), ...options })
}

/** A program that must be configured otherwise, told in one line without the password. */
function isClear(pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof PermanentError, String(error))
    assert.equal(error.exitCode, EXIT.configuration)
    assert.match(error.message, pattern)
    assert.doesNotMatch(error.message, new RegExp(`${PASSWORD}|\n`))
    return true
  }
}

describe('DATABASE_URL', () => {
  for (const [text, pattern] of [
    ['', /not a URL/],
    [`host=db user=me password=${PASSWORD}`, /not a URL/],
    [`mysql://me:${PASSWORD}@db/x`, /scheme/],
    [`postgres://me:${PASSWORD}@db:port/x`, /not a URL/],
    [`postgres://me:${PASSWORD}@db:99999/x`, /not a URL|port/],
    [`postgres://me:${PASSWORD}@/x`, /no host/],
    [`postgres://:${PASSWORD}@db/x`, /no user/],
    [`postgres://me:${PASSWORD}%zz@db/x`, /percent/],
    [`postgres://me:${PASSWORD}@db/x/y`, /slash/],
  ] as const) {
    test(`malformed: ${text.replace(PASSWORD, '…')}`, () => {
      assert.throws(() => open(text), isClear(pattern))
    })
  }

  test('well formed ones are understood', () => {
    const target = parseDatabaseUrl('postgres://me:p%40ss@[::1]:6543/db?sslmode=disable')
    assert.deepEqual(
      { ...target, url: null },
      {
        host: '::1',
        port: 6543,
        user: 'me',
        password: 'p@ss',
        database: 'db',
        url: null,
      },
    )
    assert.equal(parseDatabaseUrl('postgresql://me@db').database, 'me')
    assert.equal(parseDatabaseUrl('postgresql:///db?host=/run/postgresql&user=me').host, '/run/postgresql')
    assert.equal(parseDatabaseUrl('postgresql://me:pw@/db?host=/run/postgresql').host, '/run/postgresql')
  })
})

describe('connection', { concurrency: true }, () => {
  for (const kind of testServerKinds()) describe(`to ${kind.name}`, { concurrency: false }, () => suite(kind))
})

function suite(kind: TestServerKind): void {
  test('a refused login is one clear line', async () => {
    const url = new URL(await freshDatabase(kind))
    url.password = PASSWORD
    await assert.rejects(open(url.href).connect(), isClear(/refuses the login tapekeeper@127.0.0.1:\d+\/test_/))
    url.password = ''
    await assert.rejects(open(url.href).connect(), isClear(/refuses the login/))
    const missing = new URL(await freshDatabase(kind))
    missing.pathname = 'nowhere'
    await assert.rejects(open(missing.href).connect(), isClear(/"nowhere" does not exist/))
  })

  test('a database newer than the program is refused', async () => {
    const url = await freshDatabase(kind, true)
    await administer(url, "INSERT INTO schema_migrations VALUES (4242, 'future', now())")
    await assert.rejects(open(url).connect(), isClear(/migration 4242, this program knows \d+/))
  })

  test('missing rights are one clear line', async () => {
    const url = await freshDatabase(kind)
    const name = `poor_${new URL(url).pathname.slice(1)}`
    await administer(url, `CREATE ROLE ${name} LOGIN PASSWORD '${PASSWORD}'`)
    await administer(url, 'REVOKE ALL ON SCHEMA public FROM public')
    const poor = new URL(url)
    poor.username = name
    poor.password = PASSWORD
    await assert.rejects(open(poor.href).connect(), isClear(/may not create what is needed/))
  })

  test('migrations by four programs at once are applied once', async () => {
    const url = await freshDatabase(kind)
    const lines: string[] = []
    const ledgers = Array.from({ length: 4 }, () => open(url, { log: quietLogger(lines), poolSize: 2 }))
    await Promise.all(ledgers.map((ledger) => ledger.connect()))
    assert.deepEqual(
      ledgers.map((ledger) => ledger.status.state),
      ['ok', 'ok', 'ok', 'ok'],
    )
    assert.equal(lines.filter((line) => /^Applied \d+ migration/.test(line)).length, 1)
    await Promise.all(ledgers.map((ledger) => ledger.close()))
    assert.equal(ledgers[0]?.status.state, 'stopped')
  })

  test('another schema holds a ledger of its own', async () => {
    const { ledger, url } = await freshLedger({ kind })
    const second = open(url, { schema: 'rebuilt' })
    await second.connect()
    const price = { tokenId: '1', conditionId: '0x1', price: '0.5', volume24h: null } as never
    await second.savePrices([price], Date.now())
    assert.equal((await second.read('SELECT FROM v_prices')).length, 1)
    assert.equal((await ledger.read('SELECT FROM v_prices')).length, 0)
    await Promise.all([ledger.close(), second.close()])
  })

  test('a database that is absent at start is waited for, and one that goes away is found again', async () => {
    const real = new URL(await freshDatabase(kind, true))
    const door = new Door(Number(real.port))
    const url = new URL(real)
    url.port = String(await door.open())
    door.shut()
    const ledger = open(url.href)
    await ledger.connect()
    assert.equal(ledger.status.state, 'connecting')
    assert.match(ledger.status.trouble ?? '', /cannot be reached: connect ECONNREFUSED/)
    await assert.rejects(ledger.loadPosition('r', 's'), TransientError)
    await door.open()
    assert.equal(await eventually(() => ledger.loadPosition('r', 's')), null)
    assert.equal(ledger.status.state, 'ok')
    assert.match(ledger.status.serverVersion ?? '', /^\d+\.\d+/)
    door.shut()
    await assert.rejects(ledger.loadPosition('r', 's'), TransientError)
    assert.equal(ledger.status.state, 'unavailable')
    await door.open()
    assert.equal(await eventually(() => ledger.loadPosition('r', 's')), null)
    assert.deepEqual([ledger.status.state, ledger.status.trouble], ['ok', null])
    await ledger.close()
    door.shut()
  })

  test('a statement that takes too long, and a connection ended by an administrator, may be tried again', async () => {
    const { ledger, url } = await freshLedger({ kind })
    await assert.rejects(ledger.read('SET LOCAL statement_timeout TO 50; SELECT pg_sleep(60)'), TransientError)
    const sleeping = assert.rejects(ledger.read('SELECT pg_sleep(9)'), TransientError)
    const end = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()'
    await eventually(async () => assert.ok((await administer(url, end, ['%pg_sleep(9)%'])).rowCount))
    await sleeping
    assert.equal((await eventually(() => ledger.read('SELECT 1'))).length, 1)
    await ledger.close()
  })
}

/** Tries again until it works, at most for ten seconds; the wait is for another process. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + 10_000
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() > endMs) throw error
      await systemClock().sleep(25, new AbortController().signal)
    }
  }
}

/** A way to a server that can be opened and shut. */
class Door {
  readonly #port: number
  #listening = 0
  #server: Server | null = null
  #sockets = new Set<Socket>()

  constructor(port: number) {
    this.#port = port
  }

  async open(): Promise<number> {
    this.#server = createServer((socket) => {
      const behind = connectTo(this.#port, '127.0.0.1')
      for (const end of [socket, behind]) {
        this.#sockets.add(end)
        end.on('error', () => {})
        end.on('close', () => {
          socket.destroy()
          behind.destroy()
        })
      }
      socket.pipe(behind).pipe(socket)
    })
    this.#server.listen(this.#listening, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    this.#listening = typeof address === 'object' && address !== null ? address.port : 0
    return this.#listening
  }

  shut(): void {
    this.#server?.close()
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }
}

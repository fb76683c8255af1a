import { mkdir } from 'node:fs/promises'
import { EmbeddedServer } from '../../src/ledger/embedded.ts'
import { quietLogger } from '../../src/ledger/test-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'

/** A PostgreSQL server of the test's own, for DATABASE_URL; it can go away and come back at the same address. */
export interface DatabaseServer {
  readonly url: string
  start(): Promise<void>
  stop(): Promise<void>
}

export async function startServer(folder: string): Promise<DatabaseServer> {
  await mkdir(folder, { recursive: true })
  const create = () => new EmbeddedServer({ dataDir: folder, clock: systemClock(), log: quietLogger() })
  let server = create()
  await server.ensureRunning()
  const url = server.connectionString()
  if (url === null) throw new Error('the server has no address')
  return {
    url,
    async start() {
      server = create()
      await server.ensureRunning()
      if (server.connectionString() !== url) throw new Error('the server came back at another address')
    },
    stop: () => server.stop(),
  }
}

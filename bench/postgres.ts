import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Ledger, openLedger } from '../src/ledger/ledger.ts'
import { systemClock } from '../src/runtime/system-clock.ts'
import { quiet } from './quiet.ts'

export interface BenchLedger {
  readonly ledger: Ledger
  readonly url: string
  close(): Promise<void>
}

/** A new built-in server with an empty ledger, settings as in production. */
export async function startLedger(): Promise<BenchLedger> {
  const dataDir = mkdtempSync(join(tmpdir(), 'tapekeeper-bench-ledger-'))
  // As root, the server's own user must be able to come in.
  chmodSync(dataDir, 0o755)
  const ledger = openLedger({ databaseUrl: null, dataDir, clock: systemClock(), log: quiet })
  const close = async () => {
    await ledger.close()
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
  try {
    await ledger.connect()
    const url = ledger.connectionString()
    if (url === null) throw new Error(`no ledger: ${ledger.status.trouble}`)
    return { ledger, url, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The version of the built-in server. */
export async function runningServerVersion(): Promise<string> {
  const { ledger, close } = await startLedger()
  try {
    const rows = await ledger.read<{ version: string }>("SELECT current_setting('server_version') AS version")
    return rows[0]?.version ?? 'unknown'
  } finally {
    await close()
  }
}

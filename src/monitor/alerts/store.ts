import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileDurably } from '../../runtime/durable-file.ts'
import { type AlertState, NO_ALERTS } from './machine.ts'
import { EMPTY_OUTBOX, type OutboxState } from './outbox.ts'

/** What is kept of alerts: incidents and undelivered messages, in one file, so that they always fit each other. */
export interface StoredAlerts {
  readonly alerts: AlertState
  readonly outbox: OutboxState
}

const FORMAT = 1
const FILE = 'alerts.json'
const NOTHING: StoredAlerts = { alerts: NO_ALERTS, outbox: EMPTY_OUTBOX }

/** In the data directory and not in the ledger: the ledger may be what there is to tell about. */
export function alertsPath(dataDir: string): string {
  return join(dataDir, FILE)
}

/** What was kept; null when there is nothing. Throws when the file cannot be read or is not one of ours. */
export function readAlerts(dataDir: string): StoredAlerts | null {
  const path = alertsPath(dataDir)
  if (!existsSync(path)) return null
  const value = JSON.parse(readFileSync(path, 'utf8')) as Partial<StoredAlerts> & { format?: number }
  const { alerts, outbox } = value
  if (value.format !== FORMAT || !isWhole(alerts, outbox)) throw new TypeError(`${path} is not what it should be`)
  return { alerts: alerts as AlertState, outbox: outbox as OutboxState }
}

function isWhole(alerts: Partial<AlertState> | undefined, outbox: Partial<OutboxState> | undefined): boolean {
  const lists = [alerts?.open, alerts?.closed, outbox?.letters]
  const records = [alerts?.watches, outbox?.counts, outbox?.told]
  return lists.every(Array.isArray) && records.every((one) => typeof one === 'object' && one !== null)
}

/** What was kept. A file that cannot be used is put aside, and `onTrouble` is told why. */
export function openAlerts(dataDir: string, onTrouble: (error: unknown) => void): StoredAlerts {
  try {
    return readAlerts(dataDir) ?? NOTHING
  } catch (error) {
    onTrouble(error)
    try {
      renameSync(alertsPath(dataDir), `${alertsPath(dataDir)}.damaged`)
    } catch (failure) {
      onTrouble(failure)
    }
    return NOTHING
  }
}

/** Certain when it returns. Only the owner may read it: messages hold what others said. */
export function writeAlerts(dataDir: string, { alerts, outbox }: StoredAlerts): void {
  writeFileDurably(alertsPath(dataDir), `${JSON.stringify({ format: FORMAT, alerts, outbox })}\n`, 0o600)
}

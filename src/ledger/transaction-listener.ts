import pg from 'pg'
import { describeError, TransientError } from '../core/errors.ts'
import { clientConfig, connectError, type Database } from './database.ts'

const CHANNEL = 'tapekeeper_transactions'
const CONNECT_TIMEOUT_MS = 10_000

/**
 * Listens for changes of transactions on a connection of its own: calls `onSignal` once connected and for every
 * notification. Returns when the signal aborts; throws TransientError when the connection is lost.
 */
export async function listenForTransactions(
  database: Database,
  onSignal: () => void,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return
  const client = new pg.Client({
    ...clientConfig(database.target),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'tapekeeper listener',
  })
  // Errors after the connection was made come as events; without a listener they would end the process.
  const lost = new Promise<Error | null>((resolve) => {
    client.on('error', (error) => resolve(error))
    client.on('end', () => resolve(null))
  })
  const aborted = new Promise<'aborted'>((resolve) => {
    signal.addEventListener('abort', () => resolve('aborted'), { once: true })
  })
  try {
    await client.connect()
    client.on('notification', ({ channel }) => {
      if (channel === CHANNEL) onSignal()
    })
    await client.query(`LISTEN ${CHANNEL}`)
  } catch (error) {
    client.end().catch(() => undefined)
    throw connectError(error, database.target)
  }
  onSignal()
  const end = await Promise.race([aborted, lost])
  if (end === 'aborted') {
    await client.end().catch(() => undefined)
    return
  }
  client.end().catch(() => undefined)
  const why = end === null ? 'it was closed' : describeError(end)
  throw new TransientError(`the connection that listens for transactions was lost: ${why}`, { cause: end })
}

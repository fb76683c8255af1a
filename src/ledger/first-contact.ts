import type { Clock } from '../core/clock.ts'
import { createAbort } from '../runtime/abort.ts'
import type { Ledger } from './ledger.ts'

/** A server that has not answered by then is not waited for: recording begins without it. */
const WAIT_MS_MAX = 3_000

/**
 * Connects the ledger to a server before anything else begins. Rejects with PermanentError when the server refuses the
 * login or cannot be used at all; resolves when there was contact, or when there may be some later. `onLate` hears of a
 * refusal that comes after this has resolved.
 */
export async function connectFirst(
  ledger: Pick<Ledger, 'connect'>,
  clock: Clock,
  onLate: (error: unknown) => void,
): Promise<void> {
  const connecting = ledger.connect()
  connecting.catch(onLate)
  const wait = createAbort()
  try {
    await Promise.race([connecting, clock.sleep(WAIT_MS_MAX, wait.signal)])
  } finally {
    wait.abort()
  }
}

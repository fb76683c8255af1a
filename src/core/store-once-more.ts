import type { CollectorContext } from './collector.ts'
import { describeError } from './errors.ts'

const PAUSE_MS = 1000

/** Runs a store operation; when it fails, logs why and tries exactly once more after 1 s. */
export async function storeOnceMore<T>(
  context: CollectorContext,
  what: string,
  operation: () => Promise<T>,
): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    context.log.warn({ err: error }, `could not store ${what}, trying once more in 1 s: ${describeError(error)}`)
    await context.clock.sleep(PAUSE_MS, context.signal)
    if (context.signal.aborted) throw error
    return operation()
  }
}

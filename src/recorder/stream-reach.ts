import type { Clock } from '../core/clock.ts'
import type { StreamLedger } from '../core/rows.ts'
import type { TapeAppender, TapePosition } from '../core/tape.ts'
import type { StreamReach } from '../core/trade-backfill.ts'

export interface StreamReachOptions {
  readonly recorderId: string
  readonly stream: string
  readonly tape: {
    readonly appender: Pick<TapeAppender, 'flushed'>
    behind(position: TapePosition | null): number
  }
  readonly ledger: Pick<StreamLedger, 'loadPosition'>
  readonly clock: Clock
}

const LOOK_MS = 100

/** Says up to which time of receipt a stream is in the ledger, also while nothing comes. */
export function createStreamReach({ recorderId, stream, tape, ledger, clock }: StreamReachOptions): StreamReach {
  const reachedMs = async () => {
    const askedMs = clock.wallMs()
    // A tape that cannot be written takes nothing either: what it holds is what counts.
    await tape.appender.flushed().catch(() => undefined)
    const place = await ledger.loadPosition(recorderId, stream)
    if (tape.behind(place?.position ?? null) === 0) return askedMs
    return place?.atUs == null ? Number.NEGATIVE_INFINITY : place.atUs / 1000
  }
  return {
    reachedMs,
    async until(atMs, withinMs, signal) {
      const endMs = clock.monotonicMs() + withinMs
      for (;;) {
        if ((await reachedMs()) >= atMs) return true
        if (signal.aborted || clock.monotonicMs() >= endMs) return false
        await clock.sleep(LOOK_MS, signal)
      }
    },
  }
}

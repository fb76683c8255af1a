import type { Logger } from '../core/log.ts'
import type { StreamLedger } from '../core/rows.ts'
import type { Tape } from '../tape/tape.ts'

export interface TapeUpkeepOptions {
  readonly recorderId: string
  /** By stream. The first one gives way first when there is not enough room for all. */
  readonly tapes: ReadonlyMap<string, Pick<Tape, 'retain' | 'status'>>
  readonly ledger: Pick<StreamLedger, 'loadPosition'>
  /** What the ledger takes of the same budget, bytes. */
  readonly ledgerBytes: () => Promise<number>
  readonly maxAgeMs: number
  /** For tapes and ledger together. */
  readonly maxBytes: number
  readonly log: Logger
}

/** One round: old segments that the ledger has taken go, by age and by the size of all tapes together. */
export async function retainTapes(options: TapeUpkeepOptions): Promise<void> {
  const { recorderId, tapes, ledger, maxAgeMs, maxBytes, log } = options
  const room = maxBytes - (await options.ledgerBytes())
  for (const [stream, tape] of tapes) {
    const taken = await ledger.loadPosition(recorderId, stream)
    const others = [...tapes].filter(([other]) => other !== stream)
    const otherBytes = others.reduce((sum, [, other]) => sum + other.status().bytesOnDisk, 0)
    const rule = { maxAgeMs, maxBytes: Math.max(0, room - otherBytes), taken: taken?.position ?? null }
    const result = await tape.retain(rule)
    if (result.segments > 0) log.info({ stream, ...result }, `dropped ${result.segments} old segments of ${stream}`)
  }
}

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { priceText, sizeText } from './decimal.ts'
import { changeOf, type Fill, type LevelSet } from './frames.ts'
import { openLineFile } from './line-file.ts'
import type { SimMarket } from './market.ts'

/**
 * Everything that happened at the venue, whether or not anybody was connected to hear it: `journal.ndjson`, one object
 * a line, in the order in which the venue had it to tell. `atUs` is this machine's time, `venueMs` what frames say.
 */
export interface Journal {
  change(market: SimMarket, change: LevelSet): void
  /** A match: the books of both outcomes. */
  match(market: SimMarket): void
  fill(fill: Fill): void
  flush(): void
  close(): void
}

/** One line of the journal, as a program reads it. `price`, `size` and `side` are missing on books. */
export interface JournalLine {
  readonly atUs: number
  readonly venueMs: number
  readonly kind: 'change' | 'book' | 'trade'
  readonly token: string
  readonly price?: string
  readonly size?: string
  readonly side?: 'BUY' | 'SELL'
  readonly transactionHash?: string
}

export const JOURNAL_FILE = 'journal.ndjson'

export function openJournal(directory: string, clock: Clock): Journal {
  mkdirSync(directory, { recursive: true })
  const file = openLineFile(join(directory, JOURNAL_FILE))
  const add = (line: JournalLine) => file.add(JSON.stringify(line))
  return {
    change(market, change) {
      const atUs = clock.wallUs()
      for (const outcome of [0, 1] as const) {
        const token = market.tokens[outcome]
        add({ atUs, venueMs: market.changedMs, kind: 'change', token, ...changeOf(change, outcome) })
      }
    },
    match(market) {
      const atUs = clock.wallUs()
      for (const token of market.tokens) add({ atUs, venueMs: market.changedMs, kind: 'book', token })
    },
    fill({ market, outcome, units, hundredths, side, venueMs, transactionHash }) {
      const token = market.tokens[outcome]
      const price = priceText(units)
      add({
        atUs: clock.wallUs(),
        venueMs,
        kind: 'trade',
        token,
        price,
        size: sizeText(hundredths),
        side,
        transactionHash,
      })
    },
    flush: file.flush,
    close: file.close,
  }
}

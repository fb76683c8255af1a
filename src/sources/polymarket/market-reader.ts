import type { CollectorContext } from '../../core/collector.ts'
import type { Market } from '../../core/market.ts'
import type { BadInput } from './bad-input.ts'
import type { DriftCounter } from './drift.ts'
import { isJsonObject, shown } from './json-values.ts'
import { parseGammaMarket } from './market-parser.ts'

/** Reads Gamma's rows one by one: a bad row becomes a dead letter and its neighbours live. */
export interface MarketReader {
  read(source: string, rows: readonly unknown[], context: CollectorContext): ReadMarkets
}

export interface ReadMarkets {
  readonly markets: readonly Market[]
  readonly unreadable: number
}

export function createMarketReader(badInput: BadInput, drift: DriftCounter): MarketReader {
  return {
    read(source, rows, context) {
      const markets: Market[] = []
      for (const row of rows) {
        const parsed = parseGammaMarket(row)
        if (!parsed.ok) {
          badInput.add(source, identityOf(row), parsed.reason, row)
          continue
        }
        markets.push(parsed.market)
        for (const key of parsed.unknownKeys) {
          if (drift.note(`market.${key}`)) context.log.info({ key }, `Gamma sends a key that is new to us: ${key}`)
        }
      }
      return { markets, unreadable: rows.length - markets.length }
    },
  }
}

function identityOf(row: unknown): string {
  return isJsonObject(row) ? `market ${shown(row['id'])} ${shown(row['conditionId'])}` : `market ${typeof row}`
}

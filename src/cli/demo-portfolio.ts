import type { GlobalFlags } from '../config/load.ts'
import type { VenueProcess } from '../sim/process.ts'
import { addSample } from './portfolio.ts'

export const SAMPLE = 'sample'

const SYMBOLS: readonly string[] = ['AAPL', 'SAP.DE', 'BTC-USD']
const DAY_MS = 86_400_000

/** A portfolio to look at: stocks, crypto and an outcome token, bought a month ago at about today's prices. */
export async function makeSamplePortfolio(flags: GlobalFlags, venue: VenueProcess, nowMs: number): Promise<void> {
  const time = new Date(nowMs - 30 * DAY_MS).toISOString()
  const rows = await Promise.all(
    SYMBOLS.map(async (symbol, n) => ({ symbol, quantity: String(4 - n), price: await priceOf(venue, symbol), time })),
  )
  const state = (await venue.get('state?limit=1')) as { markets?: { tokens?: string[] }[] }
  const token = state.markets?.[0]?.tokens?.[0]
  if (token !== undefined) rows.push({ symbol: token, quantity: '100', price: '0.4', time })
  await addSample(flags, SAMPLE, 'USD', rows)
}

async function priceOf(venue: VenueProcess, symbol: string): Promise<string> {
  const response = await fetch(`${venue.urls.yahoo}/v8/finance/chart/${encodeURIComponent(symbol)}`)
  const answer = (await response.json()) as { chart: { result: { meta: { regularMarketPrice: number } }[] } }
  return ((answer.chart.result[0]?.meta.regularMarketPrice ?? 100) * 0.95).toFixed(2)
}

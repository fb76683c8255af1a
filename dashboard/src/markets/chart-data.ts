import type { Candle, PricePoint, Trade } from '../../../src/api/contract.ts'
import type { ChartData } from '../parts/chart.ts'
import { timeMs } from '../words.ts'

const say = (value: number) => `${Number(value.toFixed(2))}¢`
const WORDS = { say, mark: say }

type Point = readonly [seconds: number, value: number]

/** Stored prices as a line, trades as dots on the same axis; in cents, oldest first. */
export function linePoints(prices: readonly PricePoint[], trades: readonly Trade[]): ChartData {
  const line = pointsOf(prices)
  const from = line[0]?.[0] ?? 0
  const dots = pointsOf(trades).filter(([seconds]) => seconds >= from)
  const seconds = [...new Set([...line, ...dots].map(([at]) => at))].sort((a, b) => a - b)
  const lineAt = new Map(line)
  const dotAt = new Map(dots)
  return {
    kind: 'line',
    ...WORDS,
    // `undefined` is bridged by the line; that a price was not stored means that it did not change
    columns: [seconds, seconds.map((at) => lineAt.get(at)), seconds.map((at) => dotAt.get(at) ?? null)],
  }
}

function pointsOf(rows: readonly { timestamp: string; price: number }[]): readonly Point[] {
  return rows
    .flatMap(({ timestamp, price }): Point[] => {
      const ms = timeMs(timestamp)
      return ms === null ? [] : [[ms / 1_000, price * 100]]
    })
    .toReversed()
}

/** Open, high, low and close by the hour; in cents, oldest first. */
export function candlePoints(candles: readonly Candle[]): ChartData {
  const rows = candles.filter(({ hour }) => timeMs(hour) !== null).toReversed()
  const column = (read: (candle: Candle) => number) => rows.map((candle) => read(candle) * 100)
  return {
    kind: 'candles',
    ...WORDS,
    columns: [
      rows.map(({ hour }) => (timeMs(hour) ?? 0) / 1_000),
      column(({ open }) => open),
      column(({ high }) => high),
      column(({ low }) => low),
      column(({ close }) => close),
    ],
  }
}

import {
  type Asset,
  currencyPairOf,
  endOfDayMs,
  type History,
  type Quote,
  type SourcedAttempt,
} from '../core/assets.ts'
import { nullableArray, numberArray, textArray } from './array-literal.ts'
import { cleanOrNull, cleanText, decimalOrNull } from './clean.ts'
import type { Session } from './database.ts'

const ERROR_LENGTH_MAX = 500
const NAME_LENGTH_MAX = 200

/** Logs every attempt, stores the prices among them, and learns what they tell about assets. Returns new rows. */
export async function insertAttempts(session: Session, attempts: readonly SourcedAttempt[]): Promise<number> {
  if (attempts.length === 0) return 0
  await logAttempts(session, attempts)
  const quotes = attempts.flatMap(({ asset, answer, source }) =>
    answer.ok && isPrice(answer.quote.price) ? [{ asset, quote: answer.quote, source }] : [],
  )
  if (quotes.length === 0) return 0
  // The last one wins where an asset has two of one time.
  const unique = [...new Map(quotes.map((one) => [`${one.asset.assetId} ${one.quote.atMs}`, one])).values()]
  const stored = await insertQuotes(session, unique)
  await learn(session, unique)
  await insertRates(
    session,
    unique.map(({ asset, quote, source }) => ({ asset, source, atMs: quote.atMs, rate: quote.price })),
  )
  return stored
}

function isPrice(text: string): boolean {
  const value = Number(decimalOrNull(text) ?? Number.NaN)
  return value >= 0
}

async function logAttempts(session: Session, attempts: readonly SourcedAttempt[]): Promise<void> {
  const rows = attempts.map(({ asset, startedMs, durationMs, source, answer }) => {
    const price = answer.ok && isPrice(answer.quote.price) ? answer.quote.price : null
    const error = answer.ok ? `not a price: ${answer.quote.price}` : answer.error
    return { assetId: asset.assetId, startedMs, durationMs, source, price, error: price === null ? error : null }
  })
  await session.query(
    `WITH logged AS (
       INSERT INTO price_update_log (at, duration_ms, asset_id, success, price, source, error)
       SELECT to_timestamp(r.at / 1000.0), r.duration_ms, r.asset_id, r.price IS NOT NULL, r.price, r.source, r.error
       FROM unnest($1::float8[], $2::float8[], $3::integer[], $4::numeric[], $5::text[], $6::text[])
         WITH ORDINALITY AS r (at, duration_ms, asset_id, price, source, error, n)
       ORDER BY r.at, r.n
       ON CONFLICT DO NOTHING RETURNING asset_id, at)
     UPDATE tracked_assets t SET asked_at = l.at
     FROM (SELECT asset_id, max(at) AS at FROM logged GROUP BY asset_id) l WHERE t.asset_id = l.asset_id`,
    [
      numberArray(rows.map((row) => row.startedMs)),
      numberArray(rows.map((row) => row.durationMs)),
      numberArray(rows.map((row) => row.assetId)),
      nullableArray(rows.map((row) => row.price)),
      textArray(rows.map((row) => row.source)),
      nullableArray(rows.map((row) => cleanOrNull(row.error)?.slice(0, ERROR_LENGTH_MAX) ?? null)),
    ],
  )
}

interface SourcedQuote {
  readonly asset: Asset
  readonly quote: Quote
  readonly source: string
}

async function insertQuotes(session: Session, quotes: readonly SourcedQuote[]): Promise<number> {
  const column = (read: (quote: Quote) => string | null) =>
    nullableArray(quotes.map(({ quote }) => positiveOrNull(read(quote))))
  const { rows } = await session.query<{ stored: number }>(
    `WITH stored AS (
       INSERT INTO asset_prices AS p (asset_id, ts, kind, open, high, low, close, volume, source)
       SELECT r.asset_id, to_timestamp(r.at / 1000.0), 'q', r.open, r.high, r.low, r.close, r.volume, r.source
       FROM unnest($1::integer[], $2::float8[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[],
                   $7::numeric[], $8::text[]) AS r (asset_id, at, open, high, low, close, volume, source)
       ORDER BY 1, 2
       ON CONFLICT (asset_id, ts, kind) DO UPDATE SET
         open = EXCLUDED.open, high = EXCLUDED.high, low = EXCLUDED.low, close = EXCLUDED.close,
         volume = EXCLUDED.volume, source = EXCLUDED.source
       WHERE (p.close, p.high, p.low, p.volume) IS DISTINCT FROM
             (EXCLUDED.close, EXCLUDED.high, EXCLUDED.low, EXCLUDED.volume)
       RETURNING xmax = 0 AS is_new)
     SELECT count(*) FILTER (WHERE is_new)::integer AS stored FROM stored`,
    [
      numberArray(quotes.map(({ asset }) => asset.assetId)),
      numberArray(quotes.map(({ quote }) => quote.atMs)),
      column((quote) => quote.open),
      column((quote) => quote.high),
      column((quote) => quote.low),
      column((quote) => quote.price),
      column((quote) => quote.volume),
      textArray(quotes.map(({ source }) => source)),
    ],
  )
  return rows[0]?.stored ?? 0
}

function positiveOrNull(text: string | null): string | null {
  return text !== null && isPrice(text) ? text : null
}

/** What an asset is called and priced in, where that was not known. */
async function learn(session: Session, quotes: readonly SourcedQuote[]): Promise<void> {
  await session.query(
    `UPDATE assets a SET
       currency = coalesce(a.currency, q.currency),
       exchange = coalesce(a.exchange, q.exchange),
       name = CASE WHEN a.name = a.symbol THEN coalesce(q.name, a.name) ELSE a.name END,
       updated_at = now()
     FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[]) AS q (asset_id, currency, exchange, name)
     WHERE a.asset_id = q.asset_id
       AND (a.currency IS NULL OR (a.exchange IS NULL AND q.exchange IS NOT NULL)
            OR (a.name = a.symbol AND q.name <> a.symbol))`,
    [
      numberArray(quotes.map(({ asset }) => asset.assetId)),
      textArray(quotes.map(({ quote }) => quote.currency)),
      nullableArray(quotes.map(({ quote }) => cleanOrNull(quote.exchange)?.slice(0, NAME_LENGTH_MAX) ?? null)),
      nullableArray(quotes.map(({ quote }) => cleanOrNull(quote.name)?.slice(0, NAME_LENGTH_MAX) ?? null)),
    ],
  )
}

interface Rate {
  readonly asset: Asset
  readonly source: string
  readonly atMs: number
  readonly rate: string
}

/** The price of a currency pair is an exchange rate. */
async function insertRates(session: Session, rates: readonly Rate[]): Promise<void> {
  const pairs = rates.flatMap((one) => {
    const pair = one.asset.type === 'currency' ? currencyPairOf(one.asset.symbol) : null
    return pair !== null && Number(one.rate) > 0 ? [{ ...one, ...pair }] : []
  })
  if (pairs.length === 0) return
  await session.query(
    `INSERT INTO exchange_rates (ts, base, quote, rate, source)
     SELECT to_timestamp(r.at / 1000.0), r.base, r.quote, r.rate, r.source
     FROM unnest($1::float8[], $2::text[], $3::text[], $4::numeric[], $5::text[]) AS r (at, base, quote, rate, source)
     ORDER BY 2, 3, 1
     ON CONFLICT (base, quote, ts) DO UPDATE SET rate = EXCLUDED.rate, source = EXCLUDED.source`,
    [
      numberArray(pairs.map((one) => one.atMs)),
      textArray(pairs.map((one) => one.base)),
      textArray(pairs.map((one) => one.quote)),
      textArray(pairs.map((one) => one.rate)),
      textArray(pairs.map((one) => one.source)),
    ],
  )
}

/** Stores whole days that are not there yet; returns how many. Bars that are not prices are left out. */
export async function insertDays(session: Session, asset: Asset, source: string, history: History): Promise<number> {
  const bars = [...new Map(history.bars.filter(({ close }) => isPrice(close)).map((bar) => [bar.day, bar])).values()]
  if (bars.length === 0) return 0
  const result = await session.query(
    `INSERT INTO asset_prices (asset_id, ts, kind, open, high, low, close, volume, source)
     SELECT $1, to_timestamp(r.at / 1000.0), 'd', r.open, r.high, r.low, r.close, r.volume, $8
     FROM unnest($2::float8[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[])
       AS r (at, open, high, low, close, volume)
     ORDER BY 2 ON CONFLICT DO NOTHING`,
    [
      asset.assetId,
      numberArray(bars.map(({ day }) => endOfDayMs(day))),
      nullableArray(bars.map(({ open }) => positiveOrNull(open))),
      nullableArray(bars.map(({ high }) => positiveOrNull(high))),
      nullableArray(bars.map(({ low }) => positiveOrNull(low))),
      textArray(bars.map(({ close }) => close)),
      nullableArray(bars.map(({ volume }) => positiveOrNull(volume))),
      source,
    ],
  )
  const rates = bars.map(({ day, close }) => ({ asset, source, atMs: endOfDayMs(day), rate: close }))
  await insertRates(session, rates)
  await session.query('UPDATE assets SET currency = $2, updated_at = now() WHERE asset_id = $1 AND currency IS NULL', [
    asset.assetId,
    cleanText(history.currency),
  ])
  return result.rowCount ?? 0
}

import type {
  Appended,
  Portfolio,
  Position,
  PositionMaker,
  Problem,
  Side,
  Transaction,
  TransactionDraft,
} from '../core/portfolio.ts'
import { nullableArray, numberArray, textArray } from './array-literal.ts'
import { type EnsuredAsset, ensureAsset } from './assets.ts'
import { cleanOrNull, cleanText } from './clean.ts'
import type { Session } from './database.ts'

interface PortfolioRow {
  readonly portfolio_id: number
  readonly name: string
  readonly currency: string
  readonly created_at: Date
}

export const PORTFOLIO_COLUMNS = 'p.portfolio_id, p.name, p.currency, p.created_at'

export function toPortfolio(row: PortfolioRow): Portfolio {
  const { portfolio_id: portfolioId, name, currency, created_at: createdAt } = row
  return { portfolioId, name, currency, createdMs: createdAt.getTime() }
}

/** Null when there is one of that name. */
export async function insertPortfolio(session: Session, name: string, currency: string): Promise<Portfolio | null> {
  const { rows } = await session.query<PortfolioRow & Record<string, unknown>>(
    `INSERT INTO portfolios AS p (name, currency) VALUES ($1, $2)
     ON CONFLICT DO NOTHING RETURNING ${PORTFOLIO_COLUMNS}`,
    [cleanText(name), currency],
  )
  return rows[0] === undefined ? null : toPortfolio(rows[0])
}

/** By its name; by its number where there is none of that name. */
export async function selectPortfolio(session: Session, nameOrId: string): Promise<Portfolio | null> {
  const { rows } = await session.query<PortfolioRow & Record<string, unknown>>(
    `SELECT ${PORTFOLIO_COLUMNS} FROM portfolios p WHERE p.name = $1 OR p.portfolio_id::text = $1
     ORDER BY p.name = $1 DESC LIMIT 1`,
    [cleanText(nameOrId)],
  )
  return rows[0] === undefined ? null : toPortfolio(rows[0])
}

/** The exchange rate of a transaction: its own, or the last one known in the week before it. */
const RATE = `CASE WHEN a.currency = p.currency THEN 1 ELSE coalesce(t.exchange_rate, (
  SELECT rate FROM (
    (SELECT ts, rate FROM exchange_rates WHERE base = a.currency AND quote = p.currency AND ts <= t.executed_at
     ORDER BY ts DESC LIMIT 1)
    UNION ALL
    (SELECT ts, round(1 / rate, 18) FROM exchange_rates
     WHERE base = p.currency AND quote = a.currency AND ts <= t.executed_at
     ORDER BY ts DESC LIMIT 1)) known
  WHERE ts > t.executed_at - interval '7 days' ORDER BY ts DESC LIMIT 1)) END`

/** A piece of SQL over `transactions t`, `assets a` and `portfolios p`. */
export const TRANSACTION_RATE = RATE

/**
 * Adds transactions and makes the positions they change anew, while nobody else changes the portfolio. Refuses all of
 * them when one cannot be. The caller ends the transaction.
 */
export async function appendDrafts(
  session: Session,
  portfolioId: number,
  drafts: readonly TransactionDraft[],
  make: PositionMaker,
  nowMs: number,
): Promise<Appended> {
  await session.query('SELECT FROM portfolios WHERE portfolio_id = $1 FOR UPDATE', [portfolioId])
  const { assets, problems } = await ensureAssets(session, drafts)
  if (problems.length > 0) return { ok: false, problems }
  const lines = await insertDrafts(session, portfolioId, drafts, assets)
  const ids = [...assets.values()].map(({ assetId }) => assetId)
  const transactions = await selectTransactions(session, portfolioId, ids, lines)
  const positions: PlacedPosition[] = []
  for (const { assetId, symbol } of assets.values()) {
    const made = make(symbol, transactions.get(assetId) ?? [])
    if (made.ok) positions.push({ portfolioId, assetId, position: made.position })
    else problems.push(made.problem)
  }
  if (problems.length > 0) return { ok: false, problems }
  await savePositions(session, positions, nowMs)
  await session.query('UPDATE portfolios SET revision = revision + 1 WHERE portfolio_id = $1', [portfolioId])
  const newAssets = [...assets.values()].filter(({ isNew }) => isNew).map(({ symbol }) => symbol)
  return { ok: true, added: drafts.length, newAssets }
}

/** In the order of symbols, so that two imports cannot wait for each other. */
async function ensureAssets(session: Session, drafts: readonly TransactionDraft[]) {
  const assets = new Map<string, EnsuredAsset>()
  const problems: Problem[] = []
  for (const draft of [...drafts].sort((a, b) => (a.symbol < b.symbol ? -1 : a.symbol > b.symbol ? 1 : 0))) {
    const { symbol, currency, line } = draft
    const asset = assets.get(symbol) ?? (await ensureAsset(session, draft))
    assets.set(symbol, asset)
    if (currency !== null && asset.currency !== null && currency !== asset.currency) {
      problems.push({ line, message: `${symbol} is priced in ${asset.currency}, not in ${currency}` })
    }
  }
  return { assets, problems }
}

/** Returns the lines of the drafts by the ids that they got. */
async function insertDrafts(
  session: Session,
  portfolioId: number,
  drafts: readonly TransactionDraft[],
  assets: ReadonlyMap<string, EnsuredAsset>,
): Promise<ReadonlyMap<string, number>> {
  const lines = new Map<string, number>()
  // Equal in time, they count in the order of the file: ids rise with it.
  const { rows } = await session.query<{ transaction_id: string; n: string }>(
    `WITH draft AS (
       SELECT * FROM unnest($2::integer[], $3::float8[], $4::text[], $5::numeric[], $6::numeric[], $7::numeric[],
                            $8::numeric[], $9::text[])
         WITH ORDINALITY AS d (asset_id, at, side, quantity, price, fee, exchange_rate, notes, n)),
     numbered AS (
       SELECT d.*, nextval(pg_get_serial_sequence('transactions', 'transaction_id')) AS id FROM draft d ORDER BY n),
     stored AS (
       INSERT INTO transactions
         (transaction_id, executed_at, portfolio_id, asset_id, side, quantity, price, fee, exchange_rate, notes)
       OVERRIDING SYSTEM VALUE
       SELECT id, to_timestamp(at / 1000.0), $1, asset_id, side, quantity, price, fee, exchange_rate, notes
       FROM numbered)
     SELECT id AS transaction_id, n FROM numbered`,
    [
      portfolioId,
      numberArray(drafts.map(({ symbol }) => assets.get(symbol)?.assetId ?? 0)),
      numberArray(drafts.map(({ executedMs }) => executedMs)),
      textArray(drafts.map(({ side }) => side)),
      textArray(drafts.map(({ quantity }) => quantity)),
      textArray(drafts.map(({ price }) => price)),
      textArray(drafts.map(({ fee }) => fee)),
      nullableArray(drafts.map(({ exchangeRate }) => exchangeRate)),
      nullableArray(drafts.map(({ notes }) => cleanOrNull(notes))),
    ],
  )
  for (const { transaction_id: id, n } of rows) {
    const line = drafts[Number(n) - 1]?.line
    if (line !== null && line !== undefined) lines.set(id, line)
  }
  return lines
}

interface TransactionRow {
  readonly transaction_id: string
  readonly asset_id: number
  readonly executed_ms: number
  readonly side: Side
  readonly quantity: string
  readonly price: string
  readonly fee: string
  readonly rate: string | null
}

/** By asset, in order of time. */
async function selectTransactions(
  session: Session,
  portfolioId: number,
  assetIds: readonly number[],
  lines: ReadonlyMap<string, number> = new Map(),
): Promise<ReadonlyMap<number, readonly Transaction[]>> {
  const { rows } = await session.query<TransactionRow & Record<string, unknown>>(
    `SELECT t.transaction_id, t.asset_id, (extract(epoch FROM t.executed_at) * 1000)::float8 AS executed_ms, t.side,
            t.quantity, t.price, t.fee, ${RATE} AS rate
     FROM transactions t JOIN assets a USING (asset_id) JOIN portfolios p USING (portfolio_id)
     WHERE t.portfolio_id = $1 AND t.asset_id = ANY ($2::integer[]) ORDER BY t.executed_at, t.transaction_id`,
    [portfolioId, numberArray(assetIds)],
  )
  const transactions = new Map<number, Transaction[]>()
  for (const row of rows) {
    const { side, quantity, price, fee, rate, executed_ms: executedMs } = row
    const list = transactions.get(row.asset_id) ?? []
    list.push({ side, quantity, price, fee, rate, executedMs, line: lines.get(row.transaction_id) ?? null })
    transactions.set(row.asset_id, list)
  }
  return transactions
}

export interface PlacedPosition {
  readonly portfolioId: number
  readonly assetId: number
  readonly position: Position
}

/** All of them in one statement. */
export async function savePositions(session: Session, placed: readonly PlacedPosition[], nowMs: number): Promise<void> {
  const rows = placed.map(({ position }) => position)
  await session.query(
    `INSERT INTO portfolio_positions AS h
       (portfolio_id, asset_id, quantity, average_cost, cost, realized, fees, invested, realized_money,
        first_bought_at, updated_at)
     SELECT n.portfolio_id, n.asset_id, n.quantity, n.average_cost, n.cost, n.realized, n.fees, n.invested,
            n.realized_money, to_timestamp(n.first_ms / 1000.0), to_timestamp($1 / 1000.0)
     FROM unnest($2::integer[], $3::integer[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[],
                 $8::numeric[], $9::numeric[], $10::numeric[], $11::float8[])
       AS n (portfolio_id, asset_id, quantity, average_cost, cost, realized, fees, invested, realized_money, first_ms)
     ORDER BY n.portfolio_id, n.asset_id
     ON CONFLICT (portfolio_id, asset_id) DO UPDATE SET
       quantity = EXCLUDED.quantity, average_cost = EXCLUDED.average_cost, cost = EXCLUDED.cost,
       realized = EXCLUDED.realized, fees = EXCLUDED.fees, invested = EXCLUDED.invested,
       realized_money = EXCLUDED.realized_money, first_bought_at = EXCLUDED.first_bought_at,
       updated_at = EXCLUDED.updated_at`,
    [
      nowMs,
      numberArray(placed.map(({ portfolioId }) => portfolioId)),
      numberArray(placed.map(({ assetId }) => assetId)),
      textArray(rows.map(({ quantity }) => quantity)),
      textArray(rows.map(({ averageCost }) => averageCost)),
      textArray(rows.map(({ cost }) => cost)),
      textArray(rows.map(({ realized }) => realized)),
      textArray(rows.map(({ fees }) => fees)),
      nullableArray(rows.map(({ invested }) => invested)),
      nullableArray(rows.map(({ realizedMoney }) => realizedMoney)),
      numberArray(rows.map(({ firstBoughtMs }) => firstBoughtMs)),
    ],
  )
}

import type { PositionMaker, Side, Transaction } from '../core/portfolio.ts'
import { numberArray } from './array-literal.ts'
import type { Session } from './database.ts'
import { type PlacedPosition, savePositions, TRANSACTION_RATE } from './portfolios.ts'

/** A position with a cost that is not known in the portfolio's currency. */
export interface Uncertain {
  readonly portfolioId: number
  readonly assetId: number
}

/** The next of them in order of portfolio and asset. */
export async function selectUncertain(
  session: Session,
  after: Uncertain,
  limit: number,
): Promise<readonly Uncertain[]> {
  const { rows } = await session.query<Uncertain & Record<string, unknown>>(
    `SELECT portfolio_id AS "portfolioId", asset_id AS "assetId" FROM portfolio_positions
     WHERE (invested IS NULL OR realized_money IS NULL) AND (portfolio_id, asset_id) > ($1, $2)
     ORDER BY portfolio_id, asset_id LIMIT $3`,
    [after.portfolioId, after.assetId, limit],
  )
  return rows
}

interface Row {
  readonly portfolio_id: number
  readonly asset_id: number
  readonly revision: string
  readonly symbol: string
  readonly invested: string | null
  readonly realized_money: string | null
  readonly executed_ms: number
  readonly side: Side
  readonly quantity: string
  readonly price: string
  readonly fee: string
  readonly rate: string | null
}

interface Improved extends PlacedPosition {
  /** Of the portfolio, when its transactions were read. */
  readonly revision: string
}

/**
 * Makes positions anew of which a cost is known by now. Nothing is locked or written where there is none; a portfolio
 * that somebody is changing is left for the next time. Returns the ids of the portfolios that changed.
 */
export async function refreshUncertain(
  session: Session,
  positions: readonly Uncertain[],
  make: PositionMaker,
  nowMs: number,
): Promise<readonly number[]> {
  const improved = await selectImproved(session, positions, make)
  if (improved.length === 0) return []
  const { rows } = await session.query<{ portfolio_id: number; revision: string }>(
    `SELECT portfolio_id, revision FROM portfolios WHERE portfolio_id = ANY ($1::integer[])
     ORDER BY portfolio_id FOR UPDATE SKIP LOCKED`,
    [numberArray([...new Set(improved.map(({ portfolioId }) => portfolioId))])],
  )
  const held = new Map(rows.map((row) => [row.portfolio_id, row.revision]))
  const current = improved.filter(({ portfolioId, revision }) => held.get(portfolioId) === revision)
  if (current.length > 0) await savePositions(session, current, nowMs)
  return [...new Set(current.map(({ portfolioId }) => portfolioId))]
}

async function selectImproved(
  session: Session,
  positions: readonly Uncertain[],
  make: PositionMaker,
): Promise<readonly Improved[]> {
  const { rows } = await session.query<Row & Record<string, unknown>>(
    `SELECT h.portfolio_id, h.asset_id, p.revision, a.symbol, h.invested, h.realized_money,
            t.side, t.quantity, t.price, t.fee,
            (extract(epoch FROM t.executed_at) * 1000)::float8 AS executed_ms, ${TRANSACTION_RATE} AS rate
     FROM unnest($1::integer[], $2::integer[]) AS wanted (portfolio_id, asset_id)
     JOIN portfolio_positions h USING (portfolio_id, asset_id)
     JOIN transactions t USING (portfolio_id, asset_id)
     JOIN assets a USING (asset_id) JOIN portfolios p USING (portfolio_id)
     WHERE h.invested IS NULL OR h.realized_money IS NULL
     ORDER BY h.portfolio_id, h.asset_id, t.executed_at, t.transaction_id`,
    [
      numberArray(positions.map(({ portfolioId }) => portfolioId)),
      numberArray(positions.map(({ assetId }) => assetId)),
    ],
  )
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const key = `${row.portfolio_id} ${row.asset_id}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [row])
    else group.push(row)
  }
  return [...groups.values()].flatMap((group) => improvedOf(group, make))
}

function improvedOf(group: readonly Row[], make: PositionMaker): readonly Improved[] {
  const [first] = group
  if (first === undefined) return []
  const made = make(first.symbol, group.map(toTransaction))
  if (!made.ok) return []
  const { position } = made
  const isBetter =
    (first.invested === null && position.invested !== null) ||
    (first.realized_money === null && position.realizedMoney !== null)
  const { portfolio_id: portfolioId, asset_id: assetId, revision } = first
  return isBetter ? [{ portfolioId, assetId, revision, position }] : []
}

function toTransaction({ side, quantity, price, fee, rate, executed_ms: executedMs }: Row): Transaction {
  return { side, quantity, price, fee, rate, executedMs, line: null }
}

import type { Book, NewestBook } from '../../../src/api/contract.ts'
import { useNow, useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { Ago } from '../parts/facts.tsx'
import { Table } from '../parts/table.tsx'
import { cents, compact } from '../words.ts'

const DEPTH = 10

/** The order book as it is now, best prices in the middle, depth as bars; without a stream the newest stored one. */
export function BookCard({ tokenId }: { tokenId: string }) {
  const newest = useResource<NewestBook>(`api/tokens/${tokenId}/book?depth=${DEPTH}`, ['cycle'])
  return (
    <Card
      title="Order book"
      of={newest}
      empty={(data) => (data.book === null ? 'No order book of this outcome has been stored yet.' : null)}
    >
      {({ book, live }) => book !== null && <BookTable book={book} live={live} />}
    </Card>
  )
}

type Level = Book['bids'][number]

/** Each level with everything that is at least as good: what could be traded down to it. */
export function withDepth(levels: readonly Level[]): readonly (Level & { depth: number })[] {
  let depth = 0
  return levels.map((level) => {
    depth += level.size
    return { ...level, depth }
  })
}

const COLUMNS = ['Side', ['Price', 'number'], ['Shares', 'number'], 'Depth'] as const

function BookTable({ book, live }: { book: Book; live: boolean }) {
  const nowMs = useNow()
  const bids = withDepth(book.bids.slice(0, DEPTH))
  const asks = withDepth(book.asks.slice(0, DEPTH))
  const deepest = Math.max(1, bids.at(-1)?.depth ?? 0, asks.at(-1)?.depth ?? 0)
  return (
    <>
      <Table name="book" columns={COLUMNS}>
        <tbody>
          {asks.toReversed().map((level) => (
            <LevelRow key={`ask ${level.price}`} side="Ask" level={level} deepest={deepest} />
          ))}
          <tr className="book-middle">
            <td colSpan={4}>
              {book.spread === null
                ? 'One side is empty'
                : `Spread ${cents(book.spread)}, middle ${cents(book.midpoint)}`}
            </td>
          </tr>
          {bids.map((level) => (
            <LevelRow key={`bid ${level.price}`} side="Bid" level={level} deepest={deepest} />
          ))}
        </tbody>
      </Table>
      <p className="note">
        {live ? 'Live from the stream as of' : 'The newest stored one, observed'}{' '}
        <Ago time={book.timestamp} nowMs={nowMs} />, changed at the venue <Ago time={book.venue_time} nowMs={nowMs} />
      </p>
    </>
  )
}

interface LevelProps {
  readonly side: 'Ask' | 'Bid'
  readonly level: Level & { depth: number }
  readonly deepest: number
}

function LevelRow({ side, level: { price, size, depth }, deepest }: LevelProps) {
  return (
    <tr className={side === 'Ask' ? 'ask' : 'bid'}>
      <td>{side}</td>
      <td className="number">{cents(price)}</td>
      <td className="number">{compact(size)}</td>
      <td className="cell-depth">
        <svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={`${compact(depth)} shares deep`}>
          <rect width={(100 * depth) / deepest} height={10} />
        </svg>
      </td>
    </tr>
  )
}

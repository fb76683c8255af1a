import { hash } from 'node:crypto'

/** The parts of a book that its hash covers, as the venue writes them. Levels are compact JSON without brackets. */
export interface BookText {
  readonly market: string
  readonly assetId: string
  /** Unix ms of the book's last change, as text. */
  readonly timestamp: string
  /** Ascending. */
  readonly bids: string
  /** Descending. */
  readonly asks: string
  readonly minOrderSize: string
  readonly tickSize: string
  readonly negRisk: boolean
  /** Three decimals, one value for the whole market; '' before the first trade. */
  readonly lastTradePrice: string
  readonly version: 'v1' | 'v2'
}

/** The book as REST serves it: 10 members, 11 on a V2 market. */
export function bookJson(book: BookText, hashText: string): string {
  return (
    `{"market":"${book.market}","asset_id":"${book.assetId}","timestamp":"${book.timestamp}","hash":"${hashText}"` +
    `,"bids":[${book.bids}],"asks":[${book.asks}],"min_order_size":"${book.minOrderSize}"` +
    `,"tick_size":"${book.tickSize}","neg_risk":${book.negRisk},"last_trade_price":"${book.lastTradePrice}"` +
    (book.version === 'v2' ? ',"version":"v2"}' : '}')
  )
}

/** Lower-case hex SHA-1 of the compact book whose `hash` member is empty. */
export function bookHash(book: BookText): string {
  return sha1(bookJson(book, ''))
}

export function sha1(text: string): string {
  return hash('sha1', text)
}

import { hash } from 'node:crypto'
import type { MarketEvent, MarketResolved, NewMarket, TickSizeChange, Trade } from '../core/events.ts'
import type { DeadLetter } from '../core/ports.ts'
import type { LifecycleRow, StreamRowIdentity, TickSizeRow, TradeRow } from '../core/rows.ts'
import type { TapeFrame } from '../core/tape.ts'
import { Ordinals } from './ordinals.ts'

/** Rows and bad input of some consecutive lines of the tape. */
export interface StreamRows {
  readonly trades: TradeRow[]
  readonly tickSizes: TickSizeRow[]
  readonly lifecycle: LifecycleRow[]
  readonly deadLetters: DeadLetter[]
  /** Bytes of the payloads that the rows and letters came from. */
  bytes: number
}

export function emptyRows(): StreamRows {
  return { trades: [], tickSizes: [], lifecycle: [], deadLetters: [], bytes: 0 }
}

/** Rows and dead letters. */
export function countRows(rows: StreamRows): number {
  return rows.trades.length + rows.tickSizes.length + rows.lifecycle.length + rows.deadLetters.length
}

export function appendRows(to: StreamRows, from: StreamRows): void {
  for (const row of from.trades) to.trades.push(row)
  for (const row of from.tickSizes) to.tickSizes.push(row)
  for (const row of from.lifecycle) to.lifecycle.push(row)
  for (const letter of from.deadLetters) to.deadLetters.push(letter)
  to.bytes += from.bytes
}

const REASONS_MAX = 5
const RAW_BYTES_MAX = 65_536

/** Turns events into rows with an identity that depends on the tape alone. */
export class RowBuilder {
  readonly ordinals = new Ordinals()
  readonly #stream: string
  #source: Buffer | null = null
  #copy: Buffer | null = null

  constructor(stream: string) {
    this.#stream = stream
  }

  /** Adds the event's row, if it has one. */
  add(event: MarketEvent, frame: TapeFrame, rows: StreamRows): void {
    switch (event.kind) {
      case 'trade':
        rows.trades.push(this.#trade(event, frame))
        break
      case 'tick_size_change':
        rows.tickSizes.push(this.#tickSize(event, frame))
        break
      case 'new_market':
      case 'market_resolved':
        rows.lifecycle.push(this.#lifecycle(event, frame))
        break
      default:
        return
    }
    rows.bytes += frame.payload.length
  }

  /** Notes an event that is in the ledger already, so that later identical ones get the ordinals they had. */
  warm(event: MarketEvent, frame: TapeFrame): void {
    this.add(event, frame, emptyRows())
  }

  /** One letter per payload: a frame of many bad parts must not multiply itself. */
  reject(reasons: readonly string[], frame: TapeFrame, rows: StreamRows): void {
    const more = reasons.length > REASONS_MAX ? `; and ${reasons.length - REASONS_MAX} more` : ''
    rows.deadLetters.push({
      atMs: Math.floor(frame.atUs / 1000),
      source: this.#stream,
      reason: reasons.slice(0, REASONS_MAX).join('; ') + more,
      // PostgreSQL takes no NUL; the tape has the exact bytes.
      raw: frame.payload.toString('utf8', 0, RAW_BYTES_MAX).replaceAll('\0', '\ufffd'),
    })
    rows.bytes += Math.min(frame.payload.length, RAW_BYTES_MAX)
  }

  #identity(content: readonly string[], venueMs: number, frame: TapeFrame): StreamRowIdentity {
    const contentHash = hashOf(content)
    const ordinal = this.ordinals.next(frame.connection, contentHash, frame.atUs)
    return { venueMs, contentHash, ordinal, atUs: frame.atUs, payload: this.#keep(frame.payload) }
  }

  /** A payload is a small piece of a large buffer, which a row that waits for the ledger must not hold on to. */
  #keep(payload: Buffer): Buffer {
    if (this.#copy === null || this.#source !== payload) {
      this.#source = payload
      this.#copy = Buffer.from(payload)
    }
    return this.#copy
  }

  /** Content that cannot be a streamed trade's, and a number that does not depend on what came before. */
  #backfilled(event: Trade, ordinal: number, frame: TapeFrame): StreamRowIdentity {
    const { token, venueMs, price, size, side, transactionHash } = event
    const content = ['backfill', token, String(venueMs), price, size, side, transactionHash]
    return { venueMs, contentHash: hashOf(content), ordinal, atUs: frame.atUs, payload: this.#keep(frame.payload) }
  }

  /** Member by member: a spread costs several times as much, and every trade passes here. */
  #trade(event: Trade, frame: TapeFrame): TradeRow {
    const { token, market, venueMs, price, size, side, feeRateBps, transactionHash, backfill } = event
    const { contentHash, ordinal, atUs, payload } =
      backfill === undefined
        ? this.#identity(
            ['trade', token, market, String(venueMs), price, size, side, feeRateBps, transactionHash],
            venueMs,
            frame,
          )
        : this.#backfilled(event, backfill.ordinal, frame)
    return {
      venueMs,
      contentHash,
      ordinal,
      atUs,
      payload,
      tokenId: token,
      market,
      price,
      size,
      side,
      feeRateBps,
      transactionHash,
      origin: backfill === undefined ? 'stream' : 'backfill',
    }
  }

  #tickSize(event: TickSizeChange, frame: TapeFrame): TickSizeRow {
    const { token, market, venueMs, oldTickSize, newTickSize } = event
    const content = ['tick_size_change', token, market, String(venueMs), oldTickSize, newTickSize]
    return { ...this.#identity(content, venueMs, frame), tokenId: token, market, oldTickSize, newTickSize }
  }

  #lifecycle(event: NewMarket | MarketResolved, frame: TapeFrame): LifecycleRow {
    const { kind, market, venueMs, tokens, raw } = event
    const created = event.kind === 'new_market' ? event : null
    return {
      ...this.#identity([kind, market, String(venueMs), raw], venueMs, frame),
      kind,
      market,
      question: created?.question ?? null,
      slug: created?.slug ?? null,
      tokens,
      outcomes: created?.outcomes ?? [],
      tickSize: created?.tickSize ?? null,
      winningTokenId: event.kind === 'market_resolved' ? event.winningToken : null,
      raw,
    }
  }
}

/** 32 hex digits. */
function hashOf(content: readonly string[]): string {
  return hash('sha256', JSON.stringify(content)).slice(0, 32)
}

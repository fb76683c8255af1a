import type { Random } from '../core/random.ts'
import { type BookLevel, type BookSide, bestOf, setLevel, sizeAt } from './book.ts'
import { PRICE_ONE } from './decimal.ts'
import type { LevelSet } from './frames.ts'
import { between } from './identity.ts'
import { orderSize, type SimMarket } from './market.ts'

interface QuoteLimits {
  readonly levels: number
  readonly batchMax: number
}

/** A batch of orders placed, changed and withdrawn in one engine step. Every price occurs once, no book crosses. */
export function quote(market: SimMarket, random: Random, limits: QuoteLimits): LevelSet[] {
  const wanted = random() < 0.6 ? 1 : between(random, 1, limits.batchMax)
  const batch = new Batch(market, random)
  for (let index = 0; index < wanted; index += 1) {
    const side: BookSide = random() < 0.5 ? 'bid' : 'ask'
    const count = batch.levels(side).length
    const dice = random()
    if (count < Math.max(2, limits.levels / 3)) batch.add(side)
    else if (dice < 0.55 || (dice >= 0.75 && count >= limits.levels)) batch.resize(side)
    else if (dice < 0.75) batch.remove(side)
    else batch.add(side)
  }
  return batch.changes
}

/** Withdraws what stands in the way of a best price around `units` and quotes both sides there. */
export function moveTo(market: SimMarket, units: number, random: Random): LevelSet[] {
  const tick = market.tickUnits
  const bid = Math.min(PRICE_ONE - 2 * tick, Math.max(tick, Math.floor(units / tick) * tick))
  const changes: LevelSet[] = []
  for (const level of market.book.asks) {
    if (level.units <= bid) changes.push({ side: 'ask', units: level.units, hundredths: 0, primary: 0 })
  }
  for (const level of market.book.bids) {
    if (level.units > bid) changes.push({ side: 'bid', units: level.units, hundredths: 0, primary: 0 })
  }
  changes.push({ side: 'bid', units: bid, hundredths: orderSize(random), primary: 0 })
  changes.push({ side: 'ask', units: bid + tick, hundredths: orderSize(random), primary: 1 })
  return changes
}

export function applyAll(market: SimMarket, changes: readonly LevelSet[]): void {
  for (const change of changes) setLevel(market.book, change.side, change.units, change.hundredths)
}

/** Picks changes against the book as it is before the batch, and keeps them from contradicting each other. */
class Batch {
  readonly changes: LevelSet[] = []
  readonly #market: SimMarket
  readonly #random: Random
  /** No added bid may reach the lowest ask that is or was planned, and the other way round. */
  #bidCeiling: number
  #askFloor: number

  constructor(market: SimMarket, random: Random) {
    this.#market = market
    this.#random = random
    const { bid, ask } = bestOf(market.book)
    this.#bidCeiling = ask ?? PRICE_ONE
    this.#askFloor = bid ?? 0
  }

  levels(side: BookSide): readonly BookLevel[] {
    return side === 'bid' ? this.#market.book.bids : this.#market.book.asks
  }

  /** A new level near the best price, inside the spread now and then. */
  add(side: BookSide): void {
    const tick = this.#market.tickUnits
    const { bid, ask } = bestOf(this.#market.book)
    for (let attempt = 0; attempt < 6; attempt += 1) {
      const away = between(this.#random, -1, this.levels(side).length + 2) * tick
      const from = side === 'bid' ? (bid ?? this.#bidCeiling - tick) : (ask ?? this.#askFloor + tick)
      const units = onGrid(side === 'bid' ? from - away : from + away, tick, side)
      if (units <= 0 || units >= PRICE_ONE) continue
      if (side === 'bid' ? units >= this.#bidCeiling : units <= this.#askFloor) continue
      if (sizeAt(this.#market.book, side, units) > 0) continue
      if (this.#push(side, units, orderSize(this.#random))) return
    }
    this.resize(side)
  }

  resize(side: BookSide): void {
    const level = this.#some(side)
    if (level) this.#push(side, level.units, orderSize(this.#random))
  }

  remove(side: BookSide): void {
    const level = this.#some(side)
    if (level) this.#push(side, level.units, 0)
  }

  /** Orders near the best price change most. */
  #some(side: BookSide): BookLevel | undefined {
    const levels = this.levels(side)
    return levels[levels.length - 1 - Math.floor(levels.length * this.#random() ** 2)]
  }

  #push(side: BookSide, units: number, hundredths: number): boolean {
    if (this.changes.some((change) => change.units === units)) return false
    if (hundredths > 0 && side === 'bid') this.#askFloor = Math.max(this.#askFloor, units)
    if (hundredths > 0 && side === 'ask') this.#bidCeiling = Math.min(this.#bidCeiling, units)
    this.changes.push({ side, units, hundredths, primary: this.#random() < 0.5 ? 0 : 1 })
    return true
  }
}

/** After the tick size changed, old levels may lie off the coarser grid; new ones lie on the present one. */
function onGrid(units: number, tick: number, side: BookSide): number {
  return (side === 'bid' ? Math.floor(units / tick) : Math.ceil(units / tick)) * tick
}

import { assert } from '../core/errors.ts'

/** First in, first out, with a limit on items and on their size. Full means that an item is dropped and counted. */
export class BoundedQueue<Item> {
  readonly #itemsMax: number
  readonly #sizeMax: number
  #items: { readonly item: Item; readonly size: number }[] = []
  #size = 0
  #dropped = 0

  constructor(itemsMax: number, sizeMax: number) {
    assert(itemsMax > 0 && sizeMax > 0, 'a queue has room')
    this.#itemsMax = itemsMax
    this.#sizeMax = sizeMax
  }

  get length(): number {
    return this.#items.length
  }

  get dropped(): number {
    return this.#dropped
  }

  /** False when it did not fit. */
  offer(item: Item, size: number): boolean {
    if (this.#items.length >= this.#itemsMax || this.#size + size > this.#sizeMax) {
      this.#dropped += 1
      return false
    }
    this.#items.push({ item, size })
    this.#size += size
    return true
  }

  /** The oldest items, which stay. */
  peek(count: number): readonly Item[] {
    return this.#items.slice(0, count).map(({ item }) => item)
  }

  /** Removes the oldest items. */
  take(count: number): void {
    for (const { size } of this.#items.splice(0, count)) this.#size -= size
  }
}

import { assert } from '../core/errors.ts'

type Release = () => void | Promise<void>

/** Holds what was acquired and releases it last in, first out, once; every release runs even when another fails. */
export class Scope implements AsyncDisposable {
  readonly #releases: Release[] = []
  #closing: Promise<void> | null = null

  /** Registers the release of something just acquired. */
  onRelease(release: Release): void {
    assert(this.#closing === null, 'a closed scope cannot take another release')
    this.#releases.push(release)
  }

  /** Releases everything; a second call waits for the first. Rejects with the only error, or with all of them. */
  close(): Promise<void> {
    this.#closing ??= this.#releaseAll()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #releaseAll(): Promise<void> {
    const errors: unknown[] = []
    for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop()) {
      try {
        await release()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} releases failed`)
  }
}

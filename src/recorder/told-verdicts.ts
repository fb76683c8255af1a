import type { Suspicion } from './mark-details.ts'

const TOLD_MAX = 10_000

/** Verdicts that counted when they were made, and are not to count again when their line is read. Bounded. */
export class ToldVerdicts {
  readonly #keys = new Set<string>()

  tell(suspicion: Suspicion): void {
    if (this.#keys.size >= TOLD_MAX) this.#keys.delete(this.#keys.values().next().value as string)
    this.#keys.add(keyOf(suspicion))
  }

  /** True once for each that was told. */
  take(suspicion: Suspicion): boolean {
    return this.#keys.delete(keyOf(suspicion))
  }
}

function keyOf({ cause, tokens, fromUs, toUs }: Suspicion): string {
  return `${cause} ${fromUs} ${toUs} ${tokens.join()}`
}

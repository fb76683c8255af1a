/** Counts names that this build does not know. Bounded: beyond the limit new names are only counted together. */
export interface DriftCounter {
  /** Notes one sighting; true when the name was never seen before. */
  note(name: string): boolean
  /** Sightings of all names since start. */
  readonly total: number
  /** Sightings by name. */
  counts(): Readonly<Record<string, number>>
}

const NAMES_MAX = 200
const NAME_CHARACTERS_MAX = 80
const REST = '(others)'

export function createDriftCounter(): DriftCounter {
  const counts = new Map<string, number>()
  let total = 0
  return {
    note(name) {
      total += 1
      const short = name.slice(0, NAME_CHARACTERS_MAX)
      const isNew = !counts.has(short)
      const key = isNew && counts.size >= NAMES_MAX ? REST : short
      counts.set(key, (counts.get(key) ?? 0) + 1)
      return isNew && key !== REST
    },
    get total() {
      return total
    },
    counts: () => Object.fromEntries(counts),
  }
}

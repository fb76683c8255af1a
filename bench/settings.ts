/** How long and how often. */
export interface Settings {
  readonly quick: boolean
  /** Rounds of each side of a ratio; the median counts. */
  readonly rounds: number
  /** Of the benchmark at the venue's pace. */
  readonly seconds: number
  /** A temporary folder for everything that is written, removed at the end. */
  readonly folder: string
  /** For the receiving processes, for example `--cpu-prof`. */
  readonly nodeOptions: readonly string[]
  /** Says what is under way. */
  readonly say: (text: string) => void
}

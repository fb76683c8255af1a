import { setFlagsFromString } from 'node:v8'

/** By how much the heap may grow beyond what is alive before it is collected, percent. */
const GROWTH_PERCENT = 8

/**
 * Keeps the heap of this process close to what is alive in it. V8 lets a heap grow to four times that on a machine with
 * much memory, which for 20,000 books is 400 MB of garbage; a recorder is a guest that others share the machine with.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`)
  // Books that come and go leave holes; this has V8 close them a few megabytes at a time, long before it would.
  setFlagsFromString('--optimize-for-size')
}

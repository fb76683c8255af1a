/** Time, as the page reads it; tests move it by hand. */
export interface PageClock {
  /** Unix ms. */
  nowMs(): number
  /** Calls once after so many ms. Returns how to call it off. */
  after(delayMs: number, call: () => void): () => void
}

export const browserClock: PageClock = {
  nowMs: () => Date.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs)
    return () => clearTimeout(timer)
  },
}

/**
 * Judges the silence of one connection by its own recent rate. Times are monotonic ms. Only frames that tell of
 * something new count: the dumps that answer a subscription come whether or not the market lives.
 */
export interface SilenceWatch {
  /** Frames since the last call; to be called at a steady pace. */
  note(frames: number, nowMs: number): void
  /** Any answer at all, a dump included. */
  noteAnswer(nowMs: number): void
  /** null while the silence is believable. */
  suspicion(nowMs: number): Suspicion | null
  /** Frames per second, as far as they are to be expected. */
  readonly ratePerSecond: number
  /** The newest answer, dumps included. */
  readonly lastFrameMs: number
}

export interface Suspicion {
  readonly silentMs: number
  /** How many frames should have come in that time; null when a subscription was never answered. */
  readonly expectedFrames: number | null
}

export interface SilenceOptions {
  readonly stallTimeoutMs: number
  /** When the subscription was sent. */
  readonly startMs: number
  /** The rate that an earlier connection for the same tokens had, frames per second. */
  readonly inheritedRate?: number
  /** Stretches the timeout: silence that outlived a replacement is believed longer. */
  readonly patience?: number
}

/** At a steady rate, silence in place of this many frames happens by chance once in 3,000 times. */
export const EXPECTED_FRAMES_MIN = 8
/** The rate is an average over about this many timeouts. */
const MEMORY_TIMEOUTS = 4

export function createSilenceWatch(options: SilenceOptions): SilenceWatch {
  const { stallTimeoutMs, startMs } = options
  const limitMs = stallTimeoutMs * (options.patience ?? 1)
  const memoryMs = stallTimeoutMs * MEMORY_TIMEOUTS
  // One timeout's worth of observation at the inherited rate stands at the beginning: a short burst proves nothing.
  let weightMs = stallTimeoutMs
  let frames = ((options.inheritedRate ?? 0) / 1000) * stallTimeoutMs
  let countedToMs = startMs
  let lastFrameMs = startMs
  let answered = false

  const ratePerMs = () => frames / weightMs
  return {
    note(count, nowMs) {
      if (count === 0) return // silence is judged by the rate before it, not averaged into it
      const elapsedMs = Math.max(0, nowMs - countedToMs)
      const decay = Math.exp(-elapsedMs / memoryMs)
      frames = frames * decay + count
      weightMs = weightMs * decay + elapsedMs
      countedToMs = nowMs
      lastFrameMs = nowMs
      answered = true
    },
    noteAnswer(nowMs) {
      answered = true
      lastFrameMs = Math.max(lastFrameMs, nowMs)
    },
    suspicion(nowMs) {
      const silentMs = nowMs - lastFrameMs
      if (silentMs < limitMs) return null
      if (!answered) return { silentMs, expectedFrames: null }
      const expectedFrames = ratePerMs() * silentMs
      return expectedFrames < EXPECTED_FRAMES_MIN ? null : { silentMs, expectedFrames }
    },
    get ratePerSecond() {
      return ratePerMs() * 1000
    },
    get lastFrameMs() {
      return lastFrameMs
    },
  }
}

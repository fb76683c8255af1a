import { performance } from 'node:perf_hooks'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'

/** setTimeout takes no more than 2^31 − 1 ms and fires at once beyond it. */
const TIMER_MS_MAX = 2_000_000_000

/** How far the µs clock may be off from the system's ms clock before it follows; 1 ms is the latter's rounding. */
const ANCHOR_TOLERANCE_MS = 1

/** A step back smaller than this is the clock being slewed, and is held; a larger one is somebody setting it. */
const SLEW_US_MAX = 1_000_000

/** The clock of this machine. `wallUs` has µs resolution and goes back only when the system's time is set back. */
export function systemClock(): Clock {
  // performance.now() stands still while a laptop sleeps and ignores NTP, so it is anchored anew whenever it disagrees.
  let anchorMs = performance.timeOrigin
  let lastUs = 0
  return {
    wallMs: () => Date.now(),
    wallUs() {
      const elapsedMs = performance.now()
      const coarseMs = Date.now()
      const offMs = anchorMs + elapsedMs - coarseMs
      if (offMs < -ANCHOR_TOLERANCE_MS || offMs > 1 + ANCHOR_TOLERANCE_MS) anchorMs = coarseMs + 0.5 - elapsedMs
      const nowUs = Math.floor((anchorMs + elapsedMs) * 1000)
      if (nowUs > lastUs || nowUs < lastUs - SLEW_US_MAX) lastUs = nowUs
      return lastUs
    },
    monotonicMs: () => performance.now(),
    sleep,
  }
}

/** Chance as this machine makes it. */
export const systemRandom: Random = Math.random

async function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + delayMs
  for (let leftMs = delayMs; leftMs > 0 && !signal.aborted; leftMs = endMs - performance.now()) {
    await sleepOnce(Math.min(Math.ceil(leftMs), TIMER_MS_MAX), signal)
  }
}

function sleepOnce(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, delayMs)
    signal.addEventListener('abort', end)
  })
}

import { Worker } from 'node:worker_threads'
import { assert, EXIT } from '../core/errors.ts'

export interface WatchdogOptions {
  /** How long the event loop may stand still before the process is ended, ms; null: for ever. */
  readonly timeoutMs: number | null
  /** What stands still although the event loop turns, in words; null when nothing does. Asked every second. */
  readonly standstill: (sinceMs: number) => string | null
  /** Told once, when something stands still; half of `timeoutMs` is left to end in order. */
  readonly onStandstill: (what: string) => void
}

export interface Watchdog {
  /** Whether all is moving: what an outer watchdog may be told. */
  readonly isMoving: boolean
  /** Ends the watch, unless something stands still already: then only the end of the process does. */
  stop(): void
}

const TICK_MS = 1_000
/** Right after a standstill of the whole process everything is late for a moment. */
const TICKS_TO_BE_SURE = 3

/**
 * Ends the process with exit code 70 when its event loop stands still. A thread of its own counts beats in shared
 * memory by its own ticks, so that a machine that slept, or a process that was stopped and goes on, is not mistaken for
 * one. A thread cannot end its process in order, but it can ask the main thread to through the inspector, which
 * interrupts what runs there; where even that does not help, SIGKILL does.
 */
const THREAD = `
const { workerData } = require('node:worker_threads')
const { cells, ticks, tickMs, exitCode } = workerData
let seen = -1
let still = 0
while (Atomics.load(cells, 1) === 0) {
  Atomics.wait(cells, 1, 0, tickMs)
  const beat = Atomics.load(cells, 0)
  still = beat === seen ? still + 1 : 0
  seen = beat
  const most = Atomics.load(cells, 2) === 0 ? ticks : Math.ceil(ticks / 2)
  if (still < most || Atomics.load(cells, 1) !== 0) continue
  require('node:fs').writeSync(2, 'tapekeeper: internal error: nothing moves any more; ends, to be started anew\\n')
  const { Session } = require('node:inspector')
  const session = new Session()
  session.connectToMainThread()
  session.post('Runtime.evaluate', { expression: 'process.exit(' + exitCode + ')' })
  Atomics.wait(cells, 1, 0, 3000)
  process.kill(process.pid, 'SIGKILL')
}
`
const BEATS = 0
const STOP = 1
const OVER = 2

/** Watches from now on. The timer and the thread keep no process alive. */
export function startWatchdog({ timeoutMs, standstill, onStandstill }: WatchdogOptions): Watchdog {
  const cells = new Int32Array(new SharedArrayBuffer(12))
  if (timeoutMs !== null) startThread(cells, timeoutMs)
  let still = 0
  let isOver = false
  const beat = () => {
    if (isOver) return // should the end in order fail, the thread ends the process
    Atomics.add(cells, BEATS, 1)
    const what = standstill(TICK_MS)
    still = what === null ? 0 : still + 1
    if (what === null || still < TICKS_TO_BE_SURE) return
    isOver = timeoutMs !== null
    if (!isOver) return
    Atomics.store(cells, OVER, 1)
    onStandstill(what)
  }
  const timer = setInterval(beat, TICK_MS)
  timer.unref()
  return {
    get isMoving() {
      return still === 0
    },
    stop() {
      // The end in order may be what hangs: the thread stays until the process is gone.
      if (isOver) return
      clearInterval(timer)
      Atomics.store(cells, STOP, 1)
      Atomics.notify(cells, STOP)
    },
  }
}

function startThread(cells: Int32Array, timeoutMs: number): void {
  assert(timeoutMs >= 3 * TICK_MS, 'a watchdog needs a few seconds')
  const thread = new Worker(THREAD, {
    eval: true,
    workerData: { cells, ticks: Math.round(timeoutMs / TICK_MS), tickMs: TICK_MS, exitCode: EXIT.internal },
    resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 8, stackSizeMb: 1 },
    execArgv: [],
  })
  thread.unref()
}

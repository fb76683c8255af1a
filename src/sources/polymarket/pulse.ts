import type { SilenceWatch } from './silence.ts'

export interface PulseOptions {
  readonly pingIntervalMs: number
  readonly silence: SilenceWatch
  /** What came since the last beat, counted where it is heard; set back to zero here. */
  readonly heard: { frames: number; answers: number; pongs: number }
  /** When the connection was opened, monotonic ms. */
  readonly startMs: number
  readonly ping: () => void
}

/** Why a connection should be replaced, as the tape's mark tells it. */
export interface Stall extends Readonly<Record<string, unknown>> {
  readonly reason: string
  readonly silent_ms: number
  readonly expected_frames?: number | null
}

/** The heartbeat of one connection: PING when it is due, and a judgement of what came back. Times are monotonic ms. */
export interface Pulse {
  /** The first subscription is out. Before it a PING would end the connection; further calls do nothing. */
  start(nowMs: number): void
  /** null while the connection is alive as far as can be told. */
  beat(nowMs: number): Stall | null
}

/** Two missed answers, and half an interval for the way. */
const UNANSWERED_INTERVALS_MAX = 2.5

export function createPulse({ pingIntervalMs, silence, heard, startMs, ping }: PulseOptions): Pulse {
  let started = false
  let lastPingMs = startMs
  let lastAnswerMs = startMs

  const listen = (nowMs: number): void => {
    if (heard.frames + heard.answers + heard.pongs > 0) lastAnswerMs = nowMs
    if (heard.answers > 0) silence.noteAnswer(nowMs)
    silence.note(heard.frames, nowMs)
    heard.frames = 0
    heard.answers = 0
    heard.pongs = 0
  }
  const judge = (nowMs: number): Stall | null => {
    const unansweredMs = nowMs - lastAnswerMs
    if (unansweredMs > pingIntervalMs * UNANSWERED_INTERVALS_MAX) {
      return { reason: `no answer for ${seconds(unansweredMs)} s`, silent_ms: Math.round(unansweredMs) }
    }
    const suspicion = silence.suspicion(nowMs)
    if (suspicion === null) return null
    const silentMs = Math.round(suspicion.silentMs)
    const expected = suspicion.expectedFrames === null ? null : Math.round(suspicion.expectedFrames)
    const instead = expected === null ? 'since the subscription' : `where ${expected} frames were due`
    return { reason: `silent for ${seconds(silentMs)} s ${instead}`, silent_ms: silentMs, expected_frames: expected }
  }

  return {
    start(nowMs) {
      if (started) return
      started = true
      lastPingMs = nowMs
    },
    beat(nowMs) {
      listen(nowMs)
      if (!started) return null
      if (nowMs - lastPingMs >= pingIntervalMs) {
        lastPingMs = nowMs
        ping()
      }
      return judge(nowMs)
    },
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(ms < 10_000 ? 1 : 0)
}

import type { SilenceWatch } from './silence.ts'

export interface PulseOptions {
  readonly pingIntervalMs: number
  readonly silence: SilenceWatch
  /** What came since the last beat, counted where it is heard; set back to zero here. */
  readonly heard: { frames: number; answers: number; pongs: number; pongMs: number }
  /** How long the handshake took, ms: the first guess at how long a message is under way. */
  readonly handshakeMs: number
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
  /**
   * How long a message may be under way until it is read, ms: the newest PING's round trip, or the one before halved;
   * and as long as this process was held up, because what waited for it is read with the time of the reading.
   */
  readonly lagMs: number
}

/** Beats come at least this often while nothing holds the process up. */
const BEAT_MS_MAX = 1_000
/** Two missed answers, and half an interval for the way. */
const UNANSWERED_INTERVALS_MAX = 2.5

export function createPulse({ pingIntervalMs, silence, heard, startMs, handshakeMs, ping }: PulseOptions): Pulse {
  let started = false
  let lastPingMs = startMs
  let lastAnswerMs = startMs
  let pingedMs: number | null = null
  let lagMs = handshakeMs
  let lastBeatMs = startMs
  let heldUpMs = 0

  /** Being held up adds up; what has piled up meanwhile is read within as much time of running well. */
  const noteDelay = (nowMs: number): void => {
    const beatMs = Math.min(BEAT_MS_MAX, pingIntervalMs / 4)
    const elapsedMs = nowMs - lastBeatMs
    lastBeatMs = nowMs
    const lateMs = elapsedMs - beatMs
    heldUpMs = lateMs > beatMs ? heldUpMs + lateMs : Math.max(0, heldUpMs - elapsedMs)
  }
  const listen = (nowMs: number): void => {
    if (heard.pongs > 0 && pingedMs !== null) {
      lagMs = Math.max(heard.pongMs - pingedMs, lagMs / 2)
      pingedMs = null
    }
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
      noteDelay(nowMs)
      listen(nowMs)
      if (!started) return null
      if (nowMs - lastPingMs >= pingIntervalMs) {
        lastPingMs = nowMs
        pingedMs ??= nowMs
        ping()
      }
      return judge(nowMs)
    },
    get lagMs() {
      return Math.max(lagMs, heldUpMs)
    },
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(ms < 10_000 ? 1 : 0)
}

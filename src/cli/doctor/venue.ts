import type { Clock } from '../../core/clock.ts'
import { describeError } from '../../core/errors.ts'
import { createHttpClient, type HttpClient } from '../../runtime/http.ts'
import { createRateLimiter } from '../../runtime/rate-limit.ts'
import { openWebSocket } from '../../runtime/websocket.ts'
import { readVersion } from '../version.ts'
import { type Check, type Finding, fail, ok, type Patient, warn } from './check.ts'

const ANSWER_MS = 8_000
const SLOW_MS = 2_000
const CLOCK_QUESTIONS = 6
/** Between two questions; no divisor of a second, so that they fall on different parts of it. */
const CLOCK_PAUSE_MS = 170
const OFFSET_SECONDS_WARN = 1

/** The addresses of the venue: each is asked once, the clock some times more. */
export function venueChecks({ config, clock }: Patient): readonly Check[] {
  const { enabled, gammaUrl, clobUrl, dataUrl, wsUrl } = config.polymarket
  if (!enabled) return [{ name: 'polymarket', look: () => ok('not recorded: polymarket.enabled is false') }]
  const http = (name: string, key: string, url: string): Check => ({
    name,
    look: (signal) => reaching(key, () => withHttp(clock, (client) => checkHttp(clock, client, url, signal))),
  })
  const time = (signal: AbortSignal) => withHttp(clock, (client) => checkClock(clock, client, clobUrl, signal))
  return [
    http('Gamma', 'gamma_url', `${gammaUrl}/markets/keyset?limit=1&closed=false`),
    http('CLOB', 'clob_url', `${clobUrl}/time`),
    http('Data API', 'data_url', `${dataUrl}/trades?limit=1`),
    { name: 'WebSocket', look: (signal) => reaching('ws_url', () => checkSocket(clock, wsUrl, signal)) },
    { name: 'clock', look: (signal) => reaching('clob_url', () => time(signal)) },
  ]
}

async function reaching(key: string, look: () => Promise<Finding>): Promise<Finding> {
  try {
    return await look()
  } catch (error) {
    return fail(describeError(error), `look at name resolution, firewall, proxy and polymarket.${key}`)
  }
}

async function withHttp<T>(clock: Clock, work: (client: HttpClient) => Promise<T>): Promise<T> {
  const client = createHttpClient({
    clock,
    limiter: createRateLimiter({ clock, rules: [] }),
    userAgent: `tapekeeper/${readVersion()}`,
    deadlineMs: ANSWER_MS,
  })
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

async function checkHttp(clock: Clock, client: HttpClient, url: string, signal: AbortSignal): Promise<Finding> {
  const startedMs = clock.monotonicMs()
  await client.getJson(url, { signal })
  return timed(new URL(url).host, clock.monotonicMs() - startedMs)
}

async function checkSocket(clock: Clock, url: string, signal: AbortSignal): Promise<Finding> {
  const startedMs = clock.monotonicMs()
  const socket = await openWebSocket({
    url,
    signal,
    onMessage: () => {},
    onClose: () => {},
    handshakeTimeoutMs: ANSWER_MS,
  })
  const tookMs = clock.monotonicMs() - startedMs
  socket.terminate()
  return timed(`${new URL(url).host}, handshake`, tookMs)
}

function timed(what: string, tookMs: number): Finding {
  const text = `${what} in ${Math.round(tookMs)} ms`
  return tookMs > SLOW_MS ? warn(text, 'slow: look at the network') : ok(text)
}

function secondsOf(answer: unknown): number | null {
  const seconds = typeof answer === 'string' || typeof answer === 'number' ? Number(answer) : Number.NaN
  return Number.isSafeInteger(seconds) ? seconds : null
}

/**
 * The venue tells whole seconds. A second `s` told between `a` and `b` puts the difference between `s - b` and
 * `s + 1 - a`; several answers narrow it down to about the round trip.
 */
async function checkClock(clock: Clock, client: HttpClient, url: string, signal: AbortSignal): Promise<Finding> {
  let [low, high] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let question = 0; question < CLOCK_QUESTIONS; question += 1) {
    const before = clock.wallMs() / 1000
    const told = secondsOf(await client.getJson(`${url}/time`, { signal }))
    const after = clock.wallMs() / 1000
    if (told === null) return fail('the venue’s /time is no time')
    // An answer that contradicts the ones before begins anew: one of the clocks was set.
    const fits = told - after <= high && told + 1 - before >= low
    low = fits ? Math.max(low, told - after) : told - after
    high = fits ? Math.min(high, told + 1 - before) : told + 1 - before
    await clock.sleep(CLOCK_PAUSE_MS, signal)
  }
  const offset = (low + high) / 2
  const direction = offset > 0 ? 'behind' : 'ahead of'
  const margin = ((high - low) / 2).toFixed(2)
  const text = `${Math.abs(offset).toFixed(2)} s ${direction} the venue’s, ± ${margin} s`
  if (Math.abs(offset) <= OFFSET_SECONDS_WARN) return ok(text)
  return warn(text, 'set this machine’s clock by NTP: times of receipt are wrong by as much')
}

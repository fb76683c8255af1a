import type { Collector, Health } from '../../src/api/contract.ts'
import { ago, count, plural, timeMs, wholeDuration } from './words.ts'

/** Each has a colour, a shape and a word of its own. */
export type Kind = 'good' | 'busy' | 'warn' | 'bad' | 'off'

export interface Verdict {
  readonly kind: Kind
  readonly word: string
}

const OF_HEALTH: Readonly<Record<Health['status'], Verdict>> = {
  healthy: { kind: 'good', word: 'Healthy' },
  starting: { kind: 'busy', word: 'Starting' },
  degraded: { kind: 'bad', word: 'Degraded' },
  stopped: { kind: 'off', word: 'Stopping' },
}

export function judgeHealth(status: Health['status']): Verdict {
  return OF_HEALTH[status] ?? { kind: 'off', word: String(status) }
}

/** Whether frames of tokens come in through it: the only stream whose frames wait for the ledger. */
export function isFollowing({ stream }: Collector): boolean {
  return stream !== null && stream.tokens_wanted > 0
}

/** How one collector is, by the age of its newest useful answer as well as by its own word. */
export function judgeCollector(collector: Collector, nowMs: number): Verdict {
  const { state, stream, interval_seconds } = collector
  if (state === 'failed') return { kind: 'bad', word: 'Failed' }
  if (state === 'cooling') return { kind: 'bad', word: 'Cooling down' }
  if (state === 'backing_off') return { kind: 'bad', word: 'Restarting' }
  if (state === 'stopped' || collector.status === 'stopped') return { kind: 'off', word: 'Stopped' }
  if (collector.last_cycle_success === false) return { kind: 'bad', word: 'Failing' }
  const seen = timeMs(collector.last_update)
  if (stream !== null) {
    if (stream.connections_active === 0) {
      return collector.last_cycle_success === null ? { kind: 'busy', word: 'Connecting' } : { kind: 'bad', word: 'Cut' }
    }
    if (stream.connections_stalled > 0) return { kind: 'warn', word: 'Stalled' }
    if (stream.trouble !== null) return { kind: 'warn', word: 'Partly connected' }
    return { kind: 'good', word: isFollowing(collector) ? 'Recording' : 'Running' }
  }
  if (seen === null) return { kind: 'busy', word: 'Starting' }
  if (nowMs - seen > 2_000 * interval_seconds + 1_000) return { kind: 'warn', word: 'Late' }
  return { kind: 'good', word: 'Running' }
}

/** Why it is in this state and what happens next, in one or two sentences. */
export function explainCollector(collector: Collector, nowMs: number): string {
  return [whyOf(collector, nowMs), nextOf(collector), lastErrorOf(collector, nowMs)]
    .filter((part) => part !== '')
    .join(' ')
}

/** Of one that is fine again; of the others the error is why they are not. */
function lastErrorOf(collector: Collector, nowMs: number): string {
  const { last_error, last_error_time } = collector
  const isWhy = collector.state !== 'running' || collector.last_cycle_success === false
  if (isWhy || last_error === null) return ''
  return last_error_time === null
    ? `Last error: ${last_error}.`
    : `Last error ${ago(last_error_time, nowMs)}: ${last_error}.`
}

function whyOf(collector: Collector, nowMs: number): string {
  const { state, stream, consecutive_failures, interval_seconds, last_error } = collector
  const error = last_error === null ? '' : `: ${last_error}`
  if (state === 'failed') return `It cannot go on${error}.`
  if (state === 'cooling') return `It crashed too often${error}.`
  if (state === 'backing_off') return `It crashed${error}.`
  if (state === 'stopped') return 'It was stopped.'
  if (collector.last_cycle_success === false) {
    const times = consecutive_failures > 1 ? `last ${count(consecutive_failures)} cycles` : 'last cycle'
    return `Its ${times} failed${error}.`
  }
  if (stream !== null) {
    const { connections_active: active, connections_wanted: wanted, tokens_subscribed, tokens_wanted } = stream
    if (stream.trouble !== null) return `${stream.trouble}.`
    if (!isFollowing(collector)) return 'It goes on by itself when there is something to do.'
    const tokens = `${count(tokens_subscribed)} of ${plural(tokens_wanted, 'token')}`
    return `${tokens} over ${count(active)} of ${plural(wanted, 'connection')}.`
  }
  const seen = timeMs(collector.last_update)
  if (seen === null) return 'It has given no answer yet.'
  const ageSeconds = (nowMs - seen) / 1_000
  if (ageSeconds > 2 * interval_seconds + 1) {
    return `Its newest data is ${wholeDuration(ageSeconds)} old, expected every ${wholeDuration(interval_seconds)}.`
  }
  return `Every ${wholeDuration(interval_seconds)}, as expected.`
}

function nextOf({ state, kind, critical, status }: Collector): string {
  const matters = critical ? '' : ' Health does not depend on it.'
  if (state === 'failed') return `It is not started again before the configuration changes.${matters}`
  if (state === 'cooling') return `It is tried every 5 minutes.${matters}`
  if (state === 'backing_off') return `It is started again by itself.${matters}`
  if (status === 'error') return `${kind === 'polling' ? 'It tries again' : 'It connects again'} by itself.${matters}`
  return matters.trim()
}

/** What the page says first of all; the worst comes first. */
export function sentenceOf(health: Health, collectors: readonly Collector[], nowMs: number): string {
  const fine = collectors.filter((collector) => judgeCollector(collector, nowMs).kind === 'good').length
  const share = `${count(fine)} of ${plural(collectors.length, 'collector')}`
  const [worst, ...others] = health.reasons
  if (health.status === 'stopped') return 'Stopping: no more data is taken, what is left is being stored.'
  if (health.status === 'starting') {
    return worst === undefined ? `Starting: ${share} have answered so far.` : `Starting: ${worst}; ${share} are fine.`
  }
  if (health.status === 'healthy') {
    const late = collectors.length - fine
    if (late === 0) return `All is well: ${share} deliver, tape and ledger are in order.`
    return `Healthy: ${share} are fine; ${late === 1 ? 'one does' : `${count(late)} do`} not count towards health.`
  }
  const more = others.length === 0 ? '' : ` (and ${plural(others.length, 'more reason')})`
  return `Degraded: ${worst ?? 'no reason was given'}${more}; ${share} are fine.`
}

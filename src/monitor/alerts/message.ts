import { formatDuration } from '../../core/duration.ts'
import { isoTime } from '../../core/health.ts'
import { redactText } from '../../runtime/redact.ts'
import type { Letter } from './outbox.ts'

/** A notice in words. `fields` is what the webhook is sent. */
export interface Message {
  /** The same on every attempt, so that a receiver can tell a repetition. */
  readonly id: string
  readonly kind: 'down' | 'still_down' | 'recovered' | 'test'
  readonly subject: string
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>>
}

const DETAIL_LENGTH_MAX = 1_000
const HEADS = { down: 'DOWN', still_down: 'STILL DOWN', recovered: 'RECOVERED' } as const

/** At most `lengthMax` code units, without half of a character at the end: receivers refuse that. */
export function cutText(text: string, lengthMax: number): string {
  const cut = text.slice(0, lengthMax)
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut
}

/** `recorder` names whoever speaks. Errors in a notice are other people's words: secrets in them are masked. */
export function toMessage({ id, notice }: Pick<Letter, 'id' | 'notice'>, recorder: string): Message {
  const { kind, incident } = notice
  const { key, title, affects, sinceMs, closedMs, toldMs, flapping, note } = incident
  const detail = cutText(redactText(incident.detail), DETAIL_LENGTH_MAX)
  const endMs = closedMs ?? toldMs
  const lines = [
    kind === 'recovered' ? (note ?? `It was down for ${formatDuration(endMs - sinceMs)}.`) : detail,
    ...(affects.length > 0 ? [`Affected: ${affects.join(', ')}`] : []),
    `Since ${isoTime(sinceMs)}${kind === 'still_down' ? `, for ${formatDuration(endMs - sinceMs)}` : ''}`,
    ...(flapping && kind === 'down' ? ['It comes and goes: it is told to be over only after a longer quiet.'] : []),
  ]
  return {
    id,
    kind,
    subject: `[tapekeeper ${recorder}] ${HEADS[kind]}: ${title}`,
    text: lines.filter((line) => line !== '').join('\n'),
    fields: {
      id,
      kind,
      recorder,
      incident: incident.id,
      cause: key,
      title,
      detail,
      affects,
      since: isoTime(sinceMs),
      opened_at: isoTime(incident.openedMs),
      closed_at: isoTime(closedMs),
      flapping,
      note,
    },
  }
}

/** What `tapekeeper alerts test` sends. `nowMs` is Unix ms. */
export function testMessage(recorder: string, nowMs: number): Message {
  const id = `test/${nowMs}`
  const at = isoTime(nowMs)
  const text = `If you can read this, alerts reach you. Sent ${at}.`
  const subject = `[tapekeeper ${recorder}] TEST: this is only a test`
  return { id, kind: 'test', subject, text, fields: { id, kind: 'test', recorder, title: 'this is only a test', at } }
}

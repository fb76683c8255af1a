import { hostname } from 'node:os'
import type { GlobalFlags } from '../config/load.ts'
import { formatDuration } from '../core/duration.ts'
import { describeError, EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import { isoTime } from '../core/health.ts'
import { channelsOf } from '../daemon/alert-channels.ts'
import type { Incident } from '../monitor/alerts/machine.ts'
import { testMessage } from '../monitor/alerts/message.ts'
import type { Letter } from '../monitor/alerts/outbox.ts'
import { readAlerts, type StoredAlerts } from '../monitor/alerts/store.ts'
import { createPoster } from '../runtime/post.ts'
import { redactText } from '../runtime/redact.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { loadForProcess } from './load.ts'
import { printJson, printMessage, printResult } from './output.ts'
import { plainText } from './plain-text.ts'
import { readVersion } from './version.ts'

export interface AlertsFlags extends GlobalFlags {
  readonly limit: string
}

/** `tapekeeper alerts`: what is open, what is over, what is not delivered. Reads the data directory alone. */
export async function runAlerts(flags: AlertsFlags): Promise<ExitCode> {
  if (!/^\d{1,6}$/.test(flags.limit)) {
    throw new PermanentError('--limit must be a whole number', { exitCode: EXIT.usage })
  }
  const { config } = loadForProcess(flags)
  let stored: StoredAlerts | null
  try {
    stored = readAlerts(config.dataDir)
  } catch (error) {
    throw new PermanentError(`alerts cannot be read: ${describeError(error)}`, { exitCode: EXIT.inputOutput })
  }
  const over = [...(stored?.alerts.closed ?? [])].reverse().slice(0, Number(flags.limit))
  if (flags.json) printJson(asJson(stored, over))
  else for (const line of asLines(stored, over, systemClock().wallMs())) printResult(line)
  return EXIT.ok
}

function asJson(stored: StoredAlerts | null, over: readonly Incident[]) {
  const suppressed = Object.entries(stored?.alerts.watches ?? {}).flatMap(([cause, { suppressedBy, badSinceMs }]) =>
    suppressedBy === null || badSinceMs === null ? [] : [{ cause, explained_by: suppressedBy }],
  )
  return {
    open: (stored?.alerts.open ?? []).map(incidentJson),
    over: over.map(incidentJson),
    suppressed,
    undelivered: (stored?.outbox.letters ?? []).map((letter) => ({
      channel: letter.channel,
      kind: letter.notice.kind,
      incident: letter.notice.incident.id,
      attempts: letter.attempts,
      trouble: letter.trouble,
    })),
    channels: stored?.outbox.counts ?? {},
  }
}

function incidentJson({ id, key, title, detail, affects, flapping, note, ...times }: Incident) {
  return {
    id,
    cause: key,
    title,
    detail: redactText(detail),
    affects,
    since: isoTime(times.sinceMs),
    opened_at: isoTime(times.openedMs),
    closed_at: isoTime(times.closedMs),
    flapping,
    note,
  }
}

function asLines(stored: StoredAlerts | null, over: readonly Incident[], nowMs: number): readonly string[] {
  if (stored === null) return ['no alerts so far']
  const { alerts, outbox } = stored
  const age = ({ sinceMs, closedMs }: Incident) => formatDuration((closedMs ?? nowMs) - sinceMs)
  const mark = ({ flapping }: Incident) => (flapping ? '   flapping' : '')
  return [
    alerts.open.length === 0 ? 'no open alerts' : 'open',
    ...alerts.open.flatMap((incident) => [
      `  ${incident.title}   since ${isoTime(incident.sinceMs)} (${age(incident)})${mark(incident)}`,
      ...(incident.detail === '' ? [] : [`    ${plainText(redactText(incident.detail), 300)}`]),
    ]),
    ...(over.length === 0 ? [] : ['over']),
    ...over.map(
      (one) => `  ${one.title}   ${isoTime(one.sinceMs)}, for ${age(one)}${one.note ? ` (${one.note})` : ''}`,
    ),
    ...(outbox.letters.length === 0 ? [] : ['not delivered yet']),
    ...outbox.letters.map(letterLine),
    ...Object.entries(outbox.counts).map(
      ([channel, { delivered, dropped }]) => `${channel}: ${delivered} delivered, ${dropped} given up`,
    ),
  ]
}

function letterLine({ channel, notice, attempts, trouble }: Letter): string {
  const why = trouble === null ? '' : `: ${plainText(trouble, 200)}`
  return `  ${channel}: ${notice.kind} of ${notice.incident.title}, ${attempts} attempts${why}`
}

/** `tapekeeper alerts test`: one message to every channel, and what became of it. */
export async function runAlertsTest(flags: GlobalFlags): Promise<ExitCode> {
  const { config } = loadForProcess(flags)
  const poster = createPoster()
  const channels = channelsOf(config, readVersion(), poster)
  if (channels.length === 0) {
    throw new PermanentError('no channel is configured: set alerts.webhook_url, slack_url, telegram_… or smtp_url')
  }
  const nowMs = systemClock().wallMs()
  const message = testMessage(config.recorderId ?? hostname(), nowMs)
  const results = await Promise.all(
    channels.map(async ({ name, send }) => {
      try {
        await send(message, nowMs, new AbortController().signal)
        return { channel: name, ok: true, error: null }
      } catch (error) {
        return { channel: name, ok: false, error: redactText(describeError(error)) }
      }
    }),
  )
  await poster.close()
  if (flags.json) printJson({ results })
  for (const { channel, ok, error } of flags.json ? [] : results) {
    if (ok) printResult(`${channel}: taken`)
    else printMessage(`${channel}: ${error}`)
  }
  return results.every(({ ok }) => ok) ? EXIT.ok : EXIT.unavailable
}

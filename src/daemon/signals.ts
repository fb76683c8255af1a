import type { Config } from '../config/config.ts'
import type { Clock } from '../core/clock.ts'
import type { PollingCollector } from '../core/collector.ts'
import type { RunTrigger, SignalStore } from '../core/signals.ts'
import { createDocumentClient } from '../runtime/document-client.ts'
import type { Scope } from '../runtime/scope.ts'
import type { Supervisor } from '../runtime/supervisor.ts'
import { createSignalsSource, type SignalsOptions } from '../sources/signals/index.ts'

export interface SignalParts {
  readonly options: { readonly config: Config; readonly clock: Clock; readonly version: string }
  readonly ledger: SignalStore
  readonly recorderId: string
}

/** Feeds, Hacker News and pages on a schedule; nothing where signals are not enabled. */
export function addSignals(supervisor: Supervisor, scope: Scope, parts: SignalParts): void {
  if (parts.options.config.signals.enabled) supervisor.addPolling(createScraping(scope, parts, 'schedule'))
}

/** The same cycle for whoever asks for one. The scope closes its connections. */
export function createScraping(
  scope: Scope,
  { options, ledger, recorderId }: SignalParts,
  trigger: RunTrigger,
  onProgress?: SignalsOptions['onProgress'],
): PollingCollector {
  const { clock, version } = options
  const { signals: settings } = options.config
  const { requestDelayMs: delayMs, allowPrivate } = settings
  const client = createDocumentClient({ clock, userAgent: `tapekeeper/${version}`, delayMs, allowPrivate })
  scope.onRelease(() => client.close())
  const told = onProgress === undefined ? {} : { onProgress }
  return createSignalsSource({ settings, client, store: ledger, clock, recorderId, trigger, ...told })
}

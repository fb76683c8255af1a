import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/log.ts'
import type { Poster } from '../../runtime/post.ts'
import type { Beat, BeatSink } from './beats.ts'
import { Courier } from './courier.ts'

export interface PingsOptions {
  /** With `{collector}` in it there is one for each collector, else one for the recorder as a whole. A secret. */
  readonly url: string
  readonly poster: Poster
  readonly clock: Clock
  readonly log: Logger
  readonly userAgent: string
}

const PLACEHOLDER = '{collector}'

/** Dead-man's switches as Healthchecks has them: `<url>/start`, `<url>`, `<url>/fail`. */
export function createPings({
  url,
  poster,
  clock,
  log,
  userAgent,
}: PingsOptions): BeatSink & { close(): Promise<void> } {
  const courier = new Courier('pings', log)
  const ping = (name: string | null, suffix: string) => {
    const target = addressOf(url, name, suffix)
    courier.send((signal) =>
      poster.post(target, '', { signal, nowMs: clock.wallMs(), userAgent, contentType: 'text/plain' }),
    )
  }
  const forEach = url.includes(PLACEHOLDER)
  return {
    started: ({ name }: Beat) => {
      if (forEach) ping(name, '/start')
    },
    finished: ({ name }: Beat, outcome) => {
      if (forEach) ping(name, outcome === 'ok' ? '' : '/fail')
    },
    healthy: () => {
      if (!forEach) ping(null, '')
    },
    close: () => courier.close(),
  }
}

/** The suffix belongs to the path: what follows a `?` stays behind it. */
function addressOf(url: string, collector: string | null, suffix: string): string {
  const named = url.replaceAll(PLACEHOLDER, (collector ?? '').replaceAll('.', '-'))
  const [path = '', query] = named.split('?', 2)
  return `${path.replace(/\/+$/, '')}${suffix}${query === undefined ? '' : `?${query}`}`
}

import { EXIT, PermanentError } from '../core/errors.ts'
import { startSimChild } from './child.ts'
import type { ProxyAccount, ProxyCommand, ProxyOptions } from './proxy.ts'
import { environmentOf, throughPort } from './ready.ts'
import type { VenueUrls } from './venue.ts'

/** A proxy in front of a venue, in a process of its own. */
export interface ProxyProcess {
  /** The venue's addresses through the proxy. */
  readonly urls: VenueUrls
  readonly pid: number
  /** The variables that make a recorder record the venue through the proxy. */
  readonly environment: Readonly<Record<string, string>>
  /** Resolves with the number of connections hit; rejects when the proxy refuses the command. */
  control(command: ProxyCommand): Promise<number>
  account(): Promise<ProxyAccount>
  stop(): Promise<void>
}

/** Starts a proxy in front of the venue with these addresses, which all have one port. */
export async function startProxyProcess(urls: VenueUrls, seed = 1): Promise<ProxyProcess> {
  const options: ProxyOptions = { target: urls.ws, seed }
  const child = await startSimChild('the proxy', { proxy: options })
  const ready = JSON.parse(child.ready) as { readonly port: number; readonly control: string }
  const through = throughPort(urls, ready.port)
  return {
    urls: through,
    pid: child.pid,
    environment: environmentOf(through),
    async control(command) {
      const response = await fetch(ready.control, { method: 'POST', body: JSON.stringify(command) })
      const answer = (await response.json()) as { readonly ok: boolean; readonly error?: string; readonly hit: number }
      if (!answer.ok) throw new PermanentError(answer.error ?? 'refused', { exitCode: EXIT.usage })
      return answer.hit
    },
    async account() {
      return (await (await fetch(ready.control)).json()) as ProxyAccount
    },
    stop: () => child.end('SIGTERM'),
  }
}

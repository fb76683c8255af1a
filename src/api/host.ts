import { isIP } from 'node:net'

/** `[::1]:8090` → `::1`, `Tape.Example:8090` → `tape.example`; null when it is no host. */
export function hostName(header: string | undefined): string | null {
  if (header === undefined) return null
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([a-zA-Z0-9._-]{1,253}))(?::\d{1,5})?$/.exec(header)
  const name = match?.[1] ?? match?.[2]
  return name === undefined ? null : name.toLowerCase().replace(/\.$/, '')
}

/**
 * Whether this Host may be asked for: loopback names, IP addresses, and what is configured. A page elsewhere can make
 * its own name lead here (DNS rebinding), but it cannot make a browser send another name than its own.
 */
export function isAllowedHost(header: string | undefined, allowed: readonly string[]): boolean {
  const name = hostName(header)
  if (name === null) return false
  return isIP(name) !== 0 || isLoopbackName(name) || allowed.some((host) => host.toLowerCase() === name)
}

function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost')
}

/** Whether only this machine can reach a listener at this address. */
export function isLoopback(host: string): boolean {
  return isLoopbackName(host.toLowerCase()) || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Whether a browser sent this from our own page; true for programs, which say nothing of where they come from. */
export function isSameOrigin(headers: {
  origin?: string | undefined
  host?: string | undefined
  site: unknown
}): boolean {
  const { origin, host, site } = headers
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  if (origin === undefined) return true
  return origin === `http://${host}` || origin === `https://${host}`
}

import { type LookupAddress, lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { TransientError } from '../core/errors.ts'

/** All addresses of a host name. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>

/** Whether an address is not on the public internet. */
export type IsPrivate = (address: string) => boolean

/** The system's resolver. */
export const systemResolve: Resolve = (host) =>
  new Promise((resolve, reject) => {
    lookup(host, { all: true, verbatim: true }, (error, addresses) => {
      if (error === null) resolve(addresses)
      else reject(error)
    })
  })

/**
 * A lookup for sockets that hands out public addresses only. What it returns is what is connected to, so that a name
 * which is asked again and then leads elsewhere gains nothing.
 */
export function publicLookup(resolve: Resolve, isPrivate: IsPrivate): LookupFunction {
  return (host, options, callback) => {
    resolve(host).then(
      (found) => {
        const addresses = found.filter(({ address }) => !isPrivate(address))
        const [first] = addresses
        if (first === undefined) callback(refusal(host, found[0]?.address ?? 'nowhere'), '')
        else if (options.all) callback(null, addresses)
        else callback(null, first.address, first.family)
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), ''),
    )
  }
}

/** Sockets do not look literal addresses up, so these are refused here. Throws TransientError. */
export function refusePrivateLiteral(url: URL, isPrivate: IsPrivate): void {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0 && isPrivate(host)) throw refusal(url.host, host)
}

function refusal(host: string, address: string): TransientError {
  return new TransientError(`${host} leads to ${address}, which is not on the public internet`)
}

import { describeError, PermanentError } from '../core/errors.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { type PartialVenueOptions, venueOptions } from './options.ts'
import { type ProxyOptions, startProxy } from './proxy.ts'
import { readyLine } from './ready.ts'
import { startVenue } from './venue.ts'

/**
 * A process of its own for the venue, or with `{"proxy":{…}}` for a proxy in front of one: options as one JSON
 * argument, the ready line on stdout. It ends on SIGTERM or SIGINT, and when its parent is gone (the end of stdin), so
 * that no test leaves one behind.
 */
async function main(): Promise<void> {
  const given = JSON.parse(process.argv[2] ?? '{}') as PartialVenueOptions | { readonly proxy: ProxyOptions }
  const [ready, close] = 'proxy' in given ? await openProxy(given.proxy) : await openVenue(given)
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
    process.stdin.once('end', resolve)
    process.stdin.once('error', resolve)
    process.stdin.resume()
    process.stdout.write(`${ready}\n`)
  })
  process.stdin.destroy()
  await close()
}

type Opened = readonly [ready: string, close: () => Promise<void>]

async function openVenue(given: PartialVenueOptions): Promise<Opened> {
  const venue = await startVenue(venueOptions(given), systemClock())
  return [readyLine(venue), () => venue.close()]
}

async function openProxy(options: ProxyOptions): Promise<Opened> {
  const proxy = await startProxy(options, systemClock())
  return [JSON.stringify({ ready: true, port: proxy.port, control: proxy.control }), () => proxy.close()]
}

main().catch((error: unknown) => {
  process.stderr.write(`${describeError(error)}\n`)
  process.exitCode = error instanceof PermanentError ? error.exitCode : 70
  process.stdin.destroy()
})

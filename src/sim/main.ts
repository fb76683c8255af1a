import { describeError, PermanentError } from '../core/errors.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { type PartialVenueOptions, venueOptions } from './options.ts'
import { readyLine } from './ready.ts'
import { startVenue } from './venue.ts'

/**
 * The venue's own process: options as one JSON argument, the ready line on stdout. It ends on SIGTERM or SIGINT,
 * and when its parent is gone (the end of stdin), so that no test leaves one behind.
 */
async function main(): Promise<void> {
  const options = venueOptions(JSON.parse(process.argv[2] ?? '{}') as PartialVenueOptions)
  const venue = await startVenue(options, systemClock())
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
    process.stdin.once('end', resolve)
    process.stdin.once('error', resolve)
    process.stdin.resume()
    process.stdout.write(`${readyLine(venue)}\n`)
  })
  process.stdin.destroy()
  await venue.close()
}

main().catch((error: unknown) => {
  process.stderr.write(`${describeError(error)}\n`)
  process.exitCode = error instanceof PermanentError ? error.exitCode : 70
  process.stdin.destroy()
})

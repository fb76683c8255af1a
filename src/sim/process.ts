import { setTimeout as delay } from 'node:timers/promises'
import { EXIT, PermanentError, TransientError } from '../core/errors.ts'
import type { SentTrade, ServedBook, ServedPrice } from './account.ts'
import { type SimChild, startSimChild } from './child.ts'
import type { ControlCommand } from './control.ts'
import type { DroppedFrame } from './frame-faults.ts'
import { type PartialVenueOptions, venueOptions } from './options.ts'
import { environmentOf, parseReadyLine, type ReadyLine } from './ready.ts'
import type { AccountSummary, VenueUrls } from './venue.ts'

/** A simulated venue in a process of its own, and its own account of what it sent. */
export interface VenueProcess {
  readonly urls: VenueUrls
  readonly pid: number
  /** The variables that make a recorder record this venue. */
  readonly environment: Readonly<Record<string, string>>
  account(): Promise<AccountSummary>
  /** Every trade sent, once for each connection that was given it. */
  trades(): Promise<SentTrade[]>
  prices(): Promise<ServedPrice[]>
  books(): Promise<ServedBook[]>
  /** Every message that `dropFrames` kept from everybody. */
  dropped(): Promise<DroppedFrame[]>
  /** GET a path under `/sim`, for example `state?limit=5`. */
  get(path: string): Promise<unknown>
  /** Resolves when the command is carried out; rejects when the venue refuses it. */
  control(command: ControlCommand): Promise<Readonly<Record<string, unknown>>>
  /** Resolves with the first account that fits; rejects after `timeoutMs`. */
  waitFor(fits: (account: AccountSummary) => boolean, timeoutMs?: number): Promise<AccountSummary>
  /** Ends the process. A second call waits for the first. */
  stop(): Promise<void>
  /** Ends it without a goodbye: no close frames, no last flush. */
  kill(): Promise<void>
}

const WAIT_MS_MAX = 30_000
const LOOK_MS = 20

/** Starts the venue and resolves when it listens. */
export async function startVenueProcess(given: PartialVenueOptions = {}): Promise<VenueProcess> {
  venueOptions(given) // refuses bad options here and not in a child
  const child = await startSimChild('the simulated venue', given)
  const ready = parseReadyLine(child.ready)
  if (ready !== null) return handleOf(child, ready)
  await child.end('SIGKILL')
  throw new TransientError(`the simulated venue says something else than that it is ready: ${child.ready}`)
}

function handleOf(child: SimChild, ready: ReadyLine): VenueProcess {
  const base = ready.control.replace(/control$/, '')
  const account = async () => (await getJson(`${base}account`)) as AccountSummary
  return {
    urls: ready.urls,
    pid: child.pid,
    environment: environmentOf(ready.urls),
    account,
    trades: () => getLines<SentTrade>(`${base}account/trades`),
    prices: () => getLines<ServedPrice>(`${base}account/prices`),
    books: () => getLines<ServedBook>(`${base}account/books`),
    dropped: () => getLines<DroppedFrame>(`${base}account/dropped`),
    get: (path) => getJson(base + path),
    async control(command) {
      const response = await fetch(ready.control, { method: 'POST', body: JSON.stringify(command) })
      const answer = (await response.json()) as { readonly ok: boolean; readonly error?: string }
      if (!answer.ok) throw new PermanentError(answer.error ?? 'refused', { exitCode: EXIT.usage })
      return answer as unknown as Readonly<Record<string, unknown>>
    },
    async waitFor(fits, timeoutMs = WAIT_MS_MAX) {
      const signal = AbortSignal.timeout(timeoutMs)
      for (;;) {
        const seen = await account()
        if (fits(seen)) return seen
        if (signal.aborted) {
          throw new TransientError(`waited ${timeoutMs} ms in vain; totals: ${JSON.stringify(seen.totals)}`)
        }
        await delay(LOOK_MS)
      }
    },
    stop: () => child.end('SIGTERM'),
    kill: () => child.end('SIGKILL'),
  }
}

async function getJson(url: string): Promise<unknown> {
  const response = await fetch(url)
  return response.json()
}

async function getLines<T>(url: string): Promise<T[]> {
  const response = await fetch(url)
  const text = await response.text()
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}

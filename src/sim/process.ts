import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { EXIT, type ExitCode, PermanentError, TransientError } from '../core/errors.ts'
import type { SentTrade, ServedBook, ServedPrice } from './account.ts'
import type { ControlCommand } from './control.ts'
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

const READY_MS_MAX = 30_000
const WAIT_MS_MAX = 30_000
const LOOK_MS = 20
const STOP_MS_MAX = 5_000
const STDERR_CHARS_MAX = 4_000

/** Starts the venue and resolves when it listens. Works from the sources (under tsx) and from the built files. */
export async function startVenueProcess(given: PartialVenueOptions = {}): Promise<VenueProcess> {
  venueOptions(given) // refuses bad options here and not in a child
  const child = spawn(process.execPath, [...loaderArguments(), entryPath(), JSON.stringify(given)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const ready = await untilReady(child)
  // What it writes later must not fill the pipe.
  child.stdout?.resume()
  return handleOf(child, ready, exited)
}

function loaderArguments(): string[] {
  return import.meta.url.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : []
}

function entryPath(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return fileURLToPath(new URL(`./main.${extension}`, import.meta.url))
}

async function untilReady(child: ChildProcess): Promise<ReadyLine> {
  let complaint = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-STDERR_CHARS_MAX)
  })
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new TransientError(`the simulated venue was not ready within ${READY_MS_MAX} ms: ${complaint}`))
    }, READY_MS_MAX)
    child.once('error', (cause) => {
      clearTimeout(timer)
      reject(new TransientError('the simulated venue did not start', { cause }))
    })
    child.once('close', (code) => {
      clearTimeout(timer)
      const exitCode = (code === null || code === 0 ? EXIT.internal : code) as ExitCode
      reject(new PermanentError(`the simulated venue ended at once: ${complaint.trim()}`, { exitCode }))
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const ready = parseReadyLine(text.split('\n')[0] ?? '')
      if (ready === null) return
      clearTimeout(timer)
      resolve(ready)
    })
  })
}

function handleOf(child: ChildProcess, ready: ReadyLine, exited: Promise<void>): VenueProcess {
  const base = ready.control.replace(/control$/, '')
  const account = async () => (await getJson(`${base}account`)) as AccountSummary
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    await exited
    clearTimeout(timer)
  }
  return {
    urls: ready.urls,
    pid: child.pid ?? 0,
    environment: environmentOf(ready.urls),
    account,
    trades: () => getLines<SentTrade>(`${base}account/trades`),
    prices: () => getLines<ServedPrice>(`${base}account/prices`),
    books: () => getLines<ServedBook>(`${base}account/books`),
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
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
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

import { spawn } from 'node:child_process'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/log.ts'

/** What systemd hands to a service of `Type=notify`. */
export interface SystemdEnvironment {
  /** `NOTIFY_SOCKET`. */
  readonly socket: string
  /** `WATCHDOG_USEC` in ms; null without a watchdog. */
  readonly watchdogMs: number | null
}

export interface SystemdOptions {
  readonly environment: SystemdEnvironment
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
  /** Whether all is there that recording needs; not waited for for long, because it records without a database too. */
  readonly isReady: () => boolean
  /** One line for `systemctl status`. */
  readonly status: () => string
  /** Whether data moves; while it does not, the watchdog is not fed. */
  readonly isMoving: () => boolean
}

const READY_MS_MAX = 15_000
const READY_LOOK_MS = 200
const STATUS_EVERY_MS = 10_000
/** The unit's watchdog is fed so many times within its time. */
const FEEDS = 3
const TIMEOUT_MS = 3_000

/** Takes what systemd hands over out of the environment: what is started later must not speak for this process. */
export function takeSystemdEnvironment(env: NodeJS.ProcessEnv, pid: number): SystemdEnvironment | null {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec, WATCHDOG_PID: meant } = env
  delete env['NOTIFY_SOCKET']
  delete env['WATCHDOG_USEC']
  delete env['WATCHDOG_PID']
  if (socket === undefined || socket === '') return null
  const isMeant = meant === undefined || meant === '' || Number(meant) === pid
  const watchdogMs = Number(usec) / 1000
  return { socket, watchdogMs: isMeant && watchdogMs > 0 ? watchdogMs : null }
}

/**
 * Tells systemd that the service is ready, how it is, and, while data moves, that it is alive, until the signal aborts.
 * Node has no Unix datagram sockets, so `systemd-notify` is run; the unit needs `NotifyAccess=all`. Never rejects.
 */
export async function runSystemd(options: SystemdOptions): Promise<void> {
  const { environment, clock, signal, isReady, status, isMoving } = options
  const { watchdogMs } = environment
  const notify = createNotify(options)
  for (let waitedMs = 0; waitedMs < READY_MS_MAX && !isReady() && !signal.aborted; waitedMs += READY_LOOK_MS) {
    await clock.sleep(READY_LOOK_MS, signal)
  }
  await notify(['READY=1', `STATUS=${status()}`])
  const everyMs = watchdogMs === null ? STATUS_EVERY_MS : Math.min(watchdogMs / FEEDS, STATUS_EVERY_MS)
  let last = ''
  for (;;) {
    const text = status()
    const news = text === last ? [] : [`STATUS=${text}`]
    last = text
    if (watchdogMs !== null && isMoving()) news.push('WATCHDOG=1')
    if (news.length > 0) await notify(news)
    await clock.sleep(everyMs, signal)
    if (signal.aborted) break
  }
  await notify(['STOPPING=1', 'STATUS=draining'])
}

/** Runs `systemd-notify` once for each call; says once when that does not work. */
function createNotify({ environment, log }: SystemdOptions) {
  let isWell = true
  return (assignments: readonly string[]) =>
    new Promise<void>((resolve) => {
      const child = spawn('systemd-notify', assignments, {
        env: { PATH: '/usr/bin:/bin:/run/current-system/sw/bin', NOTIFY_SOCKET: environment.socket },
        stdio: 'ignore',
        timeout: TIMEOUT_MS,
      })
      const end = (trouble: string | null) => {
        if (trouble !== null && isWell) log.warn({}, `systemd cannot be told how it goes: ${trouble}`)
        isWell = trouble === null
        resolve()
      }
      child.once('error', (error) => end(error.message))
      child.once('close', (code) => end(code === 0 ? null : `systemd-notify ended with ${code ?? 'a signal'}`))
    })
}

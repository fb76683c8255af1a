import type { Config } from '../config/config.ts'
import type { GlobalFlags } from '../config/load.ts'
import type { Clock } from '../core/clock.ts'
import { describeError, EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { askHealth } from './daemon-client.ts'
import { loadForProcess } from './load.ts'
import { printJson, printResult } from './output.ts'
import { statusLines } from './status-view.ts'

const WATCH_INTERVAL_MS = 2000
/** Back to the top left corner, and nothing below it. */
const CLEAR_SCREEN = '\u001b[H\u001b[J'

export interface StatusFlags extends GlobalFlags {
  readonly watch?: boolean
}

/** `tapekeeper status`: what the running recorder does. */
export async function runStatus(flags: StatusFlags): Promise<ExitCode> {
  const { config } = loadForProcess(flags)
  const clock = systemClock()
  if (flags.watch) return await watch(config, flags, clock)
  const { body } = await askHealth(config)
  if (flags.json) printJson(body)
  else printResult(statusLines(body, clock.wallMs()).join('\n'))
  return EXIT.ok
}

/** Shows it again and again until a signal ends it or its reader has gone. A recorder that is away may come back. */
async function watch(config: Config, flags: StatusFlags, clock: Clock): Promise<ExitCode> {
  const stopped = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort())
  process.stdout.once('error', () => stopped.abort()) // nobody looks any more
  while (!stopped.signal.aborted) {
    printResult(await nextView(config, flags, clock.wallMs()))
    await clock.sleep(WATCH_INTERVAL_MS, stopped.signal)
  }
  return EXIT.ok
}

async function nextView(config: Config, flags: StatusFlags, nowMs: number): Promise<string> {
  try {
    const { body } = await askHealth(config)
    // one object a line, so that it can be piped
    if (flags.json) return JSON.stringify(body)
    return screen(
      [`${new Date(nowMs).toISOString()}   every ${WATCH_INTERVAL_MS / 1000} s, Ctrl-C ends`, ''],
      body,
      nowMs,
    )
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error
    if (flags.json) return JSON.stringify({ status: 'unreachable', error: describeError(error) })
    return `${process.stdout.isTTY ? CLEAR_SCREEN : ''}${describeError(error)}`
  }
}

function screen(head: readonly string[], body: Readonly<Record<string, unknown>>, nowMs: number): string {
  return (process.stdout.isTTY ? CLEAR_SCREEN : '') + [...head, ...statusLines(body, nowMs)].join('\n')
}

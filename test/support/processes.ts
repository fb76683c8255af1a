import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../../bin/tapekeeper.js', import.meta.url))

/** Asks again every 50 ms until the answer is not undefined; rejects with what it was waiting for after the time. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  withinMs: number,
): Promise<T> {
  const end = performance.now() + withinMs
  let last: unknown
  while (performance.now() < end) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`waited ${withinMs} ms in vain for ${what}`, { cause: last })
}

export interface RunResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface ProgramOptions {
  readonly env?: Record<string, string>
  readonly cwd?: string
  /** Open files to write to instead of pipes. */
  readonly stdout?: number
  readonly stderr?: number
  /** In a process group of its own, as a shell starts it. */
  readonly detached?: boolean
}

/** One run of the command line with its own environment; nothing of the caller's configuration leaks in. */
export function startProgram(args: readonly string[], options: ProgramOptions = {}) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { ...cleanEnvironment(), NO_COLOR: '1', ...options.env },
    stdio: ['ignore', options.stdout ?? 'pipe', options.stderr ?? 'pipe'],
    detached: options.detached ?? false,
  })
  return new Running(child)
}

/** Runs a command to its end. */
export async function runProgram(args: readonly string[], options: ProgramOptions = {}): Promise<RunResult> {
  return await startProgram(args, options).ended
}

function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !name.startsWith('TAPEKEEPER_') && !['DATABASE_URL', 'PORT', 'HEALTH_PORT', 'NODE_OPTIONS'].includes(name),
  )
  return Object.fromEntries(kept) as Record<string, string>
}

/** A process that was started, and everything it has printed so far. */
export class Running {
  readonly child: ChildProcess
  readonly pid: number
  readonly ended: Promise<RunResult>
  stdout = ''
  stderr = ''

  constructor(child: ChildProcess) {
    this.child = child
    this.pid = child.pid ?? -1
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.ended = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }))
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** Sends the signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<RunResult> {
    if (this.alive) this.child.kill(signal)
    return await this.ended
  }
}

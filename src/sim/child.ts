import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { EXIT, type ExitCode, PermanentError, TransientError } from '../core/errors.ts'

/** A process of the simulation that has said that it is ready. */
export interface SimChild {
  readonly pid: number
  /** Its first line. */
  readonly ready: string
  /** Sends the signal, SIGKILL after a while, and waits for the end. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

const READY_MS_MAX = 30_000
const STOP_MS_MAX = 5_000
const STDERR_CHARS_MAX = 4_000

/** Starts `main` with its argument. Works from the sources (under tsx) and from the built files. */
export async function startSimChild(name: string, argument: unknown): Promise<SimChild> {
  const child = spawn(process.execPath, [...loaderArguments(), entryPath(), JSON.stringify(argument)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const ready = await untilReady(name, child)
  // What it writes later must not fill the pipe.
  child.stdout?.resume()
  return {
    pid: child.pid ?? 0,
    ready,
    async end(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
      await exited
      clearTimeout(timer)
    },
  }
}

function loaderArguments(): string[] {
  return import.meta.url.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : []
}

function entryPath(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return fileURLToPath(new URL(`./main.${extension}`, import.meta.url))
}

async function untilReady(name: string, child: ChildProcess): Promise<string> {
  let complaint = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-STDERR_CHARS_MAX)
  })
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new TransientError(`${name} was not ready within ${READY_MS_MAX} ms: ${complaint}`))
    }, READY_MS_MAX)
    child.once('error', (cause) => {
      clearTimeout(timer)
      reject(new TransientError(`${name} did not start`, { cause }))
    })
    child.once('close', (code) => {
      clearTimeout(timer)
      const exitCode = (code === null || code === 0 ? EXIT.internal : code) as ExitCode
      reject(new PermanentError(`${name} ended at once: ${complaint.trim()}`, { exitCode }))
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const end = text.indexOf('\n')
      if (end < 0) return
      clearTimeout(timer)
      resolve(text.slice(0, end))
    })
  })
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { nodeOnCore } from './machine.ts'

/** A child ends by itself when it has printed its result, and with its input; profiles are written then. */
const GOODBYE_MS = 5_000

export interface Child {
  /** The first line that it prints; rejects when it ends without one. */
  readonly line: Promise<string>
  stop(): Promise<void>
}

/** Runs one of this folder's programs in a process of its own. It ends with its parent at the latest. */
export function startChild(core: number, program: string, argument: string, nodeOptions: readonly string[]): Child {
  const path = fileURLToPath(new URL(program, import.meta.url))
  const { command, args } = nodeOnCore(core, [...nodeOptions, path, argument])
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const line = firstLine(child, program)
  line.catch(() => undefined)
  return {
    line,
    async stop() {
      child.stdin?.end()
      const timer = setTimeout(() => child.kill(), GOODBYE_MS)
      await ended
      clearTimeout(timer)
    },
  }
}

async function firstLine(child: ChildProcess, program: string): Promise<string> {
  if (child.stdout === null) throw new Error(`${program} has no output`)
  for await (const line of createInterface({ input: child.stdout })) return line
  throw new Error(`${program} ended without a result`)
}

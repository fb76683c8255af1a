import { spawnSync } from 'node:child_process'
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'
import { runningServerVersion } from './postgres.ts'

/** Where the figures come from. They mean nothing without it. */
export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly postgres: string
  /** Whether the receiving process can be kept on one core. */
  readonly pinned: boolean
  /** Mean number of processes that wanted to run in the minute before, benchmarks not included. */
  readonly loadBefore: number
}

export async function describeMachine(): Promise<Machine> {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    postgres: await runningServerVersion(),
    pinned: canPin(),
    loadBefore: oneMinuteLoad(),
  }
}

export function oneMinuteLoad(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100
}

let pinnable: boolean | undefined

/** `taskset` is Linux's; with one core there is nothing to choose. */
export function canPin(): boolean {
  pinnable ??= availableParallelism() > 1 && spawnSync('taskset', ['-c', '0', 'true']).status === 0
  return pinnable
}

export const RECEIVER_CORE = 0
export const SENDER_CORE = 1

/** The command that runs Node with these arguments on one core, or anywhere when that cannot be had. */
export function nodeOnCore(core: number, args: readonly string[]): { command: string; args: string[] } {
  if (!canPin()) return { command: process.execPath, args: [...args] }
  return { command: 'taskset', args: ['-c', String(core), process.execPath, ...args] }
}

/** Moves all threads of a running process to one core. */
export function moveToCore(core: number, pid: number): void {
  if (canPin()) spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)])
}

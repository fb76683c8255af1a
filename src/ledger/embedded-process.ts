import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from './child.ts'

/** What a running server wrote about itself into its cluster. */
export interface PostmasterFile {
  readonly pid: number
  readonly port: number
}

const PS_TIMEOUT_MS = 5_000

/** Reads postmaster.pid; null when there is none or it is not readable as one. */
export function readPostmasterFile(cluster: string): PostmasterFile | null {
  const file = join(cluster, 'postmaster.pid')
  if (!existsSync(file)) return null
  const lines = readFileSync(file, 'utf8').split('\n')
  return { pid: Number.parseInt(lines[0] ?? '', 10) || 0, port: Number.parseInt(lines[3] ?? '', 10) || 0 }
}

export function removePostmasterFile(cluster: string): void {
  rmSync(join(cluster, 'postmaster.pid'), { force: true })
}

/**
 * The processes that work in this cluster. A process id in a file proves nothing, because ids are used again; a
 * server and all its children have the cluster as their working directory.
 */
export async function processesIn(cluster: string): Promise<number[]> {
  if (process.platform === 'win32') return pidFromFile(cluster)
  if (existsSync('/proc/self/cwd')) {
    return numbersIn('/proc').filter((pid) => workingDirectory(pid) === cluster)
  }
  const listed = await runChild('/bin/ps', ['-axo', 'pid=,command='], { account: null, timeoutMs: PS_TIMEOUT_MS })
  const servers = listed.output.split('\n').filter((line) => line.includes('postgres') && line.includes(cluster))
  return servers.map((line) => Number.parseInt(line, 10)).filter(isAlive)
}

/** Sends a signal; a process that is already gone is fine. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function pidFromFile(cluster: string): number[] {
  const pid = readPostmasterFile(cluster)?.pid ?? 0
  return isAlive(pid) ? [pid] : []
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function numbersIn(folder: string): number[] {
  return readdirSync(folder)
    .map(Number)
    .filter((value) => Number.isInteger(value) && value > 0)
}

function workingDirectory(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    // Gone meanwhile, or somebody else's: a server of ours runs as us or is visible to root.
    return null
  }
}

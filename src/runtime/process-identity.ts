import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Who a process is: its number alone says little, because numbers are used again. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it started, in the words of the system; '' where that cannot be known. */
  readonly startedAt: string
  /** Which boot of the machine it belongs to; '' where that cannot be known. */
  readonly bootId: string
}

/** The identity of a living process; null when there is none (a zombie does not live). */
export function identifyProcess(pid: number): ProcessIdentity | null {
  if (!isAlive(pid)) return null
  if (process.platform === 'linux') return identifyOnLinux(pid)
  const startedAt = process.platform === 'win32' ? '' : startedAtByPs(pid)
  return startedAt === null ? null : { pid, startedAt, bootId: '' }
}

/** Whether that very process still lives, and not another one that was given its number. */
export function isSameLivingProcess(who: ProcessIdentity): boolean {
  const now = identifyProcess(who.pid)
  return now !== null && now.startedAt === who.startedAt && now.bootId === who.bootId
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM' // it lives and belongs to another user
  }
}

function identifyOnLinux(pid: number): ProcessIdentity | null {
  const stat = readText(`/proc/${pid}/stat`)
  if (stat === null) return null
  // The name in parentheses may hold spaces and parentheses; the state is the 3rd field and the start time the 22nd.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return null
  return { pid, startedAt: fields[19] ?? '', bootId: readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '' }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function startedAtByPs(pid: number): string | null {
  const options = { encoding: 'utf8', env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/bin:/usr/bin' }, timeout: 5_000 } as const
  const { status, stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], options)
  return status === 0 && stdout.trim() !== '' ? stdout.trim() : null
}

import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdirSync, openSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describeError, EXIT, PermanentError } from '../core/errors.ts'
import { claimRecord, type RecordClaim, recordedPid } from './lock-record.ts'

/** The data directory is ours until `release`, or until this process ends in whatever way. */
export interface DataDirectoryLock {
  readonly directory: string
  /** Frees the directory; safe to call twice. */
  release(): void
}

const LOCK_FOLDER = 'lock'
const KERNEL_LOCK_FILE = 'kernel.lock'

const FLOCK_PATH = '/usr/bin:/bin:/usr/local/bin:/run/current-system/sw/bin'

/** Opening a file with this flag locks it, on systems of the BSD family; Linux has no such flag. */
const O_EXLOCK_BSD = 0x20

/**
 * Takes the data directory for this process; throws PermanentError (exit code 73) when another Tapekeeper uses it.
 * Two locks, because neither is enough: the kernel's cannot go stale and sees other containers, but needs a `flock`
 * program or a BSD; the record names the holder and works everywhere a process can be looked up.
 */
export function lockDataDirectory(directory: string): DataDirectoryLock {
  const folder = makeFolder(directory)
  let kernelFile: number | null = null
  let claim: RecordClaim
  try {
    const taken = takeKernelLock(join(folder, KERNEL_LOCK_FILE))
    if (taken === 'held') throw inUse(directory, recordedPid(folder))
    kernelFile = taken
    claim = claimRecord(folder)
    if (claim.kind === 'held') throw inUse(directory, claim.pid)
  } catch (error) {
    if (kernelFile !== null) closeSync(kernelFile)
    throw error instanceof PermanentError ? error : cannotLock(directory, error)
  }
  const { release } = claim
  let isReleased = false
  return {
    directory: dirname(folder),
    release() {
      if (isReleased) return
      isReleased = true
      release()
      if (kernelFile !== null) closeSync(kernelFile)
    },
  }
}

function inUse(directory: string, pid: number | null): PermanentError {
  const who = pid === null ? 'another tapekeeper' : `another tapekeeper (pid ${pid})`
  return new PermanentError(`${who} is using ${directory}`, { exitCode: EXIT.cannotCreate })
}

function cannotLock(directory: string, error: unknown): PermanentError {
  const text = `cannot use ${directory} as the data directory: ${describeError(error)}`
  return new PermanentError(text, { exitCode: EXIT.cannotCreate, cause: error })
}

function makeFolder(directory: string): string {
  try {
    const folder = join(directory, LOCK_FOLDER)
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    return realpathSync(folder)
  } catch (error) {
    throw cannotLock(directory, error)
  }
}

/** An open file whose lock the kernel drops when this process ends; null where no such lock is to be had. */
function takeKernelLock(path: string): number | 'held' | null {
  if (process.platform === 'linux') return flockByProgram(path)
  const isBsd = process.platform === 'darwin' || process.platform.endsWith('bsd')
  return isBsd ? openLocked(path) : null
}

/** A lock made with flock(2) belongs to the open file, which the program shares with us: it stays when that ends. */
function flockByProgram(path: string): number | 'held' | null {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644)
  const { status, stderr } = spawnSync('flock', ['-x', '-n', '3'], {
    env: { PATH: FLOCK_PATH, LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe', file],
    timeout: 5_000,
  })
  if (status === 0) return file
  closeSync(file)
  // Held by another: exit 1 and not a word. Anything else means that locks do not work here.
  return status === 1 && String(stderr) === '' ? 'held' : null
}

function openLocked(path: string): number | 'held' | null {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | O_EXLOCK_BSD
  try {
    return openSync(path, flags, 0o644)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    return code === 'EAGAIN' || code === 'EWOULDBLOCK' ? 'held' : null
  }
}

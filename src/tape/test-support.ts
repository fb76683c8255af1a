import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogContext, Logger } from '../core/log.ts'
import type { TapeBatch, TapeFollower, TapeRecord } from '../core/tape.ts'
import { type Disk, realDisk } from './disk.ts'

const folders: string[] = []

/** A folder that goes when the process ends: hooks run first in, first out, and tapes must be closed before. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tape-test-'))
  if (folders.push(folder) === 1) {
    process.once('exit', () => {
      for (const made of folders) rmSync(made, { recursive: true, force: true })
    })
  }
  return folder
}

/** A logger that keeps its lines. */
export function memoryLog(): Logger & { readonly lines: string[] } {
  const lines: string[] = []
  const at = (level: string) => (_context: LogContext, message: string) => {
    lines.push(`${level} ${message}`)
  }
  const log = { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), fatal: at('fatal') }
  return { ...log, child: () => memoryLog() }
}

/** What a disk refuses while its bit is set in the first number of the control buffer. */
export const FAULT = { append: 1, sync: 2, create: 4, truncate: 8, remove: 16 } as const

/** The real disk, except for the faults that are set. A refused append writes half, then throws, as full disks do. */
export function createDisk(options: unknown): Disk {
  const control = new Int32Array(options as SharedArrayBuffer)
  const check = (fault: number, code: string) => {
    if ((Atomics.load(control, 0) & fault) !== 0) throw Object.assign(new Error(`${code}: simulated`), { code })
  }
  return {
    ...realDisk,
    create(path) {
      check(FAULT.create, 'ENOSPC')
      return realDisk.create(path)
    },
    append(file, bytes) {
      if ((Atomics.load(control, 0) & FAULT.append) !== 0) realDisk.append(file, bytes.subarray(0, bytes.length / 2))
      check(FAULT.append, 'ENOSPC')
      realDisk.append(file, bytes)
    },
    sync(file) {
      check(FAULT.sync, 'EIO')
      realDisk.sync(file)
    },
    truncate(path, length) {
      check(FAULT.truncate, 'EIO')
      realDisk.truncate(path, length)
    },
    remove(path) {
      check(FAULT.remove, 'EIO')
      realDisk.remove(path)
    },
  }
}

/** Reads batches until `enough` says so. */
export async function readUntil(
  follower: TapeFollower,
  enough: (records: readonly TapeRecord[], last: TapeBatch) => boolean,
): Promise<{ records: TapeRecord[]; batches: TapeBatch[] }> {
  const records: TapeRecord[] = []
  const batches: TapeBatch[] = []
  const { signal } = new AbortController()
  for (;;) {
    const batch = await follower.next(signal)
    if (batch === null) return { records, batches }
    records.push(...batch.records)
    batches.push(batch)
    if (enough(records, batch)) return { records, batches }
  }
}

/** The payloads of the frames among the records, as text. */
export function payloads(records: readonly TapeRecord[]): string[] {
  return records.flatMap((record) => (record.kind === 'frame' ? [record.payload.toString('latin1')] : []))
}

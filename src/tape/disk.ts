import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { isMissing } from './layout.ts'

/** The few operations that change the tape's files. Each throws when it fails; a test can hand in one that does. */
export interface Disk {
  /** Creates the folder and its parents, durably. */
  makeFolder(path: string): void
  /** Creates a new file for appending, durably; throws when it exists. */
  create(path: string): number
  /** Writes all of it at the end of the file. */
  append(file: number, bytes: Uint8Array): void
  /** Returns when the file's content is on the medium. */
  sync(file: number): void
  close(file: number): void
  /** Cuts the file, durably. */
  truncate(path: string, length: number): void
  /** Moves a synced file into place, durably. */
  rename(from: string, to: string): void
  /** Removes a file if it is there, durably. */
  remove(path: string): void
}

export const realDisk: Disk = {
  makeFolder(path) {
    const first = mkdirSync(path, { recursive: true })
    if (first === undefined) return
    for (let folder = path; ; folder = dirname(folder)) {
      syncFolder(dirname(folder))
      if (folder === first || folder === dirname(folder)) return
    }
  },
  create(path) {
    const file = openSync(path, 'ax', 0o640)
    try {
      syncFolder(dirname(path))
    } catch (error) {
      closeSync(file)
      throw error
    }
    return file
  },
  append(file, bytes) {
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written)
  },
  sync(file) {
    fdatasyncSync(file)
    // Someone removed the file: what was written to it is gone with the last descriptor.
    if (fstatSync(file).nlink === 0) throw new Error('the segment was removed from its folder')
  },
  close(file) {
    closeSync(file)
  },
  truncate(path, length) {
    const file = openSync(path, 'r+')
    try {
      if (fstatSync(file).size > length) ftruncateSync(file, length)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  },
  rename(from, to) {
    renameSync(from, to)
    syncFolder(dirname(to))
  },
  remove(path) {
    try {
      unlinkSync(path)
    } catch (error) {
      if (isMissing(error)) return
      throw error
    }
    syncFolder(dirname(path))
  },
}

/** Windows cannot open a folder, and its file system keeps folders by itself. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

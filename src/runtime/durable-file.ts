import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Writes a file so that after a power cut it holds either all of the old or all of the new text; returns when the new
 * one is certain. `prepare` sees the file before anybody else does, for example to give it away.
 */
export function writeFileDurably(
  path: string,
  text: string,
  mode: number,
  prepare: (path: string) => void = () => {},
): void {
  const draft = `${path}.draft-${process.pid}`
  try {
    rmSync(draft, { force: true })
    writeFileSync(draft, text, { mode, flag: 'wx' })
    prepare(draft)
    syncPath(draft)
    renameSync(draft, path)
  } finally {
    rmSync(draft, { force: true })
  }
  syncFolderOf(path)
}

/** Makes certain that the entry of a file or folder survives a power cut: its creation, or its new name. */
export function syncFolderOf(path: string): void {
  syncPath(dirname(path))
}

/** Makes the content of a file, or the entries of a folder, certain. */
export function syncPath(path: string): void {
  // Windows cannot open a folder, opens a file for reading only without the right to sync, and is not a target.
  if (process.platform === 'win32') return
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

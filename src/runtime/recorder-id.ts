import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeError, EXIT, PermanentError } from '../core/errors.ts'
import { writeFileDurably } from './durable-file.ts'

/** The name of this recorder, made once and kept in the data directory. Throws PermanentError when it cannot be. */
export function rememberedRecorderId(directory: string): string {
  const path = join(directory, 'recorder-id')
  try {
    const text = readFileSync(path, 'utf8').trim()
    if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text
    throw new PermanentError(`${path} does not hold the name of a recorder`)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  const made = `recorder-${randomBytes(4).toString('hex')}`
  try {
    writeFileDurably(path, `${made}\n`, 0o644)
  } catch (error) {
    throw new PermanentError(`cannot write ${path}: ${describeError(error)}`, {
      exitCode: EXIT.cannotCreate,
      cause: error,
    })
  }
  return made
}

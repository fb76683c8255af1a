import { existsSync, linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert, PermanentError } from '../core/errors.ts'
import { identifyProcess, isSameLivingProcess, type ProcessIdentity } from './process-identity.ts'

/** The outcome of a claim: ours until released, or held by a living process. */
export type RecordClaim = { readonly kind: 'ours'; release(): void } | { readonly kind: 'held'; readonly pid: number }

const RECORD_NAME = /^holder-(\d{12})\.json$/
const ATTEMPTS_MAX = 100

/**
 * Claims the folder by a record of who holds it. Records are numbered and the highest counts: whoever finds its
 * holder dead links the next number, which only one can do, and nobody ever removes the highest. So there is no
 * moment at which a stale record and the fresh one of a faster process could be mistaken for each other.
 */
export function claimRecord(folder: string): RecordClaim {
  const self = identifyProcess(process.pid)
  assert(self !== null, 'this process does not know itself')
  const draft = join(folder, `draft-${process.pid}-${process.hrtime.bigint()}`)
  writeFileSync(draft, `${JSON.stringify(self)}\n`, { flag: 'wx' })
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const highest = highestNumber(folder)
      const holder = highest === 0 ? null : readHolder(pathOf(folder, highest))
      if (holder === 'gone') continue
      if (holder !== null && isSameLivingProcess(holder)) return { kind: 'held', pid: holder.pid }
      if (!link(draft, pathOf(folder, highest + 1))) continue
      if (highestNumber(folder) > highest + 1) {
        rmSync(pathOf(folder, highest + 1), { force: true }) // we were so slow that others came and went meanwhile
        continue
      }
      removeBelow(folder, highest + 1)
      return { kind: 'ours', release: () => release(folder, highest + 1) }
    }
  } finally {
    rmSync(draft, { force: true })
  }
  throw new PermanentError(`${folder} changes hands all the time`)
}

/** The number of the process that the newest record names; null when it names none. */
export function recordedPid(folder: string): number | null {
  const highest = highestNumber(folder)
  const holder = highest === 0 ? null : readHolder(pathOf(folder, highest))
  return holder === null || holder === 'gone' ? null : holder.pid
}

/** The process that holds the folder now, as far as its record says; null when nobody does. Changes nothing. */
export function livingHolder(folder: string): number | null {
  if (!existsSync(folder)) return null
  const highest = highestNumber(folder)
  const holder = highest === 0 ? null : readHolder(pathOf(folder, highest))
  return holder !== null && holder !== 'gone' && isSameLivingProcess(holder) ? holder.pid : null
}

/** Says that nobody holds the folder; the record stays, because its number must stay the highest. */
function release(folder: string, number: number): void {
  const draft = join(folder, `draft-${process.pid}-${process.hrtime.bigint()}`)
  writeFileSync(draft, 'null\n', { flag: 'wx' })
  renameSync(draft, pathOf(folder, number))
}

function pathOf(folder: string, number: number): string {
  return join(folder, `holder-${String(number).padStart(12, '0')}.json`)
}

function numbersIn(folder: string): number[] {
  return readdirSync(folder).flatMap((name) => {
    const number = RECORD_NAME.exec(name)?.[1]
    return number === undefined ? [] : [Number(number)]
  })
}

function highestNumber(folder: string): number {
  return Math.max(0, ...numbersIn(folder))
}

function removeBelow(folder: string, number: number): void {
  for (const older of numbersIn(folder)) if (older < number) rmSync(pathOf(folder, older), { force: true })
}

/** null: nobody, or nobody can tell any more (a record is linked whole, so a damaged one is from a crashed disk). */
function readHolder(path: string): ProcessIdentity | 'gone' | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'gone'
    throw error
  }
  try {
    const { pid, startedAt, bootId } = JSON.parse(text) as Record<string, unknown>
    const isWhole = Number.isSafeInteger(pid) && typeof startedAt === 'string' && typeof bootId === 'string'
    return isWhole ? { pid: pid as number, startedAt: startedAt as string, bootId: bootId as string } : null
  } catch {
    return null
  }
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

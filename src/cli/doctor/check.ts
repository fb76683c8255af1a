import type { Config } from '../../config/config.ts'
import type { Clock } from '../../core/clock.ts'
import { describeError } from '../../core/errors.ts'
import { withDeadline } from '../../runtime/abort.ts'
import { plainText } from '../plain-text.ts'

export type Verdict = 'ok' | 'warn' | 'fail'

/** What one look found. */
export interface Finding {
  readonly verdict: Verdict
  readonly text: string
  /** What to do about it; null when there is nothing to do. */
  readonly advice: string | null
}

export interface CheckResult extends Finding {
  readonly name: string
}

/** What the checks work with. */
export interface Patient {
  readonly config: Config
  readonly clock: Clock
  readonly disk: DiskPort
}

/** The file system as the disk check sees it; a test hands in a full one. */
export interface DiskPort {
  statfs(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }>
}

export interface Check {
  readonly name: string
  readonly look: (signal: AbortSignal) => Promise<Finding> | Finding
}

const TIMEOUT_MS = 10_000
const TEXT_CHARACTERS = 300

export const ok = (text: string): Finding => ({ verdict: 'ok', text, advice: null })
export const warn = (text: string, advice: string | null = null): Finding => ({ verdict: 'warn', text, advice })
export const fail = (text: string, advice: string | null = null): Finding => ({ verdict: 'fail', text, advice })

/** Makes all checks at once, each bounded in time; what a check throws is what it found. Results keep their order. */
export async function makeChecks(
  checks: readonly Check[],
  { clock, signal, onDone }: { clock: Clock; signal: AbortSignal; onDone: (waiting: readonly string[]) => void },
): Promise<readonly CheckResult[]> {
  const waiting = new Set(checks.map(({ name }) => name))
  onDone([...waiting])
  return Promise.all(
    checks.map(async ({ name, look }) => {
      const deadline = { clock, timeoutMs: TIMEOUT_MS, signal, what: 'the check' }
      const work = async (inner: AbortSignal) => look(inner)
      const finding = await withDeadline(deadline, work).catch((error: unknown) => fail(describeError(error)))
      waiting.delete(name)
      onDone([...waiting])
      const text = plainText(finding.text, TEXT_CHARACTERS)
      const advice = finding.advice === null ? null : plainText(finding.advice, TEXT_CHARACTERS)
      return { name, verdict: finding.verdict, text, advice }
    }),
  )
}

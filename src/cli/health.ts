import type { GlobalFlags } from '../config/load.ts'
import { describeError, EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import { askHealth, type HealthAnswer } from './daemon-client.ts'
import { loadForProcess } from './load.ts'
import { printJson, printResult } from './output.ts'

/** `tapekeeper health`: one line, and an exit code for health checks. */
export async function runHealth(flags: GlobalFlags): Promise<ExitCode> {
  const { config } = loadForProcess(flags)
  let answer: HealthAnswer
  try {
    answer = await askHealth(config)
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error
    if (flags.json) printJson({ status: 'unreachable', error: describeError(error) })
    else printResult(`unreachable: ${describeError(error)}`)
    return EXIT.unhealthy
  }
  const status = String(answer.body['status'])
  const reasons = reasonsOf(answer.body)
  if (flags.json) printJson(answer.body)
  else printResult(reasons.length > 0 ? `${status}: ${reasons.join('; ')}` : status)
  return status === 'healthy' || status === 'starting' ? EXIT.ok : EXIT.unhealthy
}

/** Why the recorder is not healthy, in its own words. */
export function reasonsOf(body: Readonly<Record<string, unknown>>): readonly string[] {
  const reasons = body['reasons']
  return Array.isArray(reasons) ? reasons.map(String) : []
}

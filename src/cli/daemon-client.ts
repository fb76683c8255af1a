import type { Config } from '../config/config.ts'
import { EXIT, PermanentError } from '../core/errors.ts'

const TIMEOUT_MS = 5000
const BODY_BYTES_MAX = 4 * 1024 * 1024

/** What the health listener of the running daemon said. */
export interface HealthAnswer {
  readonly url: string
  readonly body: Readonly<Record<string, unknown>>
}

/** Asks the running daemon. Throws (exit 69) when nobody answers, or somebody else does. */
export async function askHealth(config: Config): Promise<HealthAnswer> {
  const url = healthUrl(config)
  let text: string
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' })
    text = await response.text()
  } catch (error) {
    throw unavailable(`no recorder answers at ${url}`, error)
  }
  const body = text.length <= BODY_BYTES_MAX ? parseObject(text) : null
  if (typeof body?.['status'] !== 'string') throw unavailable(`what answers at ${url} is not a recorder`)
  return { url, body }
}

/** The address of the listener as seen from this machine. */
export function healthUrl({ health }: Pick<Config, 'health'>): string {
  const everywhere = health.host === '0.0.0.0' || health.host === '::'
  const host = everywhere ? '127.0.0.1' : health.host
  return `http://${host.includes(':') ? `[${host}]` : host}:${health.port}/health`
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null
  } catch {
    return null
  }
}

function unavailable(message: string, cause?: unknown): PermanentError {
  // `fetch failed` hides the reason one level down, and "no recorder answers" says it better
  const detail = cause instanceof Error && cause.name === 'TimeoutError' ? ` within ${TIMEOUT_MS / 1000} s` : ''
  return new PermanentError(message + detail, { exitCode: EXIT.unavailable })
}

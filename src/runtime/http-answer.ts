import { TransientError } from '../core/errors.ts'
import type { Body } from './http-body.ts'

/** The host understood the request and refused it: 4xx other than 425 and 429. The caller decides what that means. */
export class HttpStatusError extends Error {
  override readonly name = 'HttpStatusError'
  readonly status: number
  /** The parsed JSON body, or the beginning of its text. */
  readonly body: unknown

  constructor(message: string, status: number, body: unknown) {
    super(message)
    this.status = status
    this.body = body
  }
}

/** One request, as the client keeps it while it is under way. */
export interface Call {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly body: string | null
}

/** One answer, read to its end. */
export interface Answer {
  readonly status: number
  readonly retryAfterMs: number | undefined
  readonly location: string | undefined
  readonly body: Body
}

export const REDIRECT_STATUS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export function isRedirect(answer: Answer): boolean {
  return REDIRECT_STATUS.has(answer.status)
}

/** The JSON of a good answer; throws for every other. */
export function toValue(call: Call, { status, retryAfterMs, body }: Answer): unknown {
  const label = labelOf(call)
  if (status === 425 || status === 429 || status >= 500) {
    throw new TransientError(`${label} answered ${status}${tailOf(body)}`, {
      retryAfterMs,
      rateLimited: status === 429,
    })
  }
  if (body.kind === 'html') {
    throw new TransientError(`${label} answered ${status} with a web page instead of JSON${tailOf(body)}`, {
      retryAfterMs,
    })
  }
  if (status < 200 || status >= 300) {
    const detail = body.kind === 'json' ? body.value : body.text
    throw new HttpStatusError(`${label} answered ${status}${tailOf(body)}`, status, detail)
  }
  if (body.kind === 'other') throw new TransientError(`${label} sent something that is not JSON${tailOf(body)}`)
  return body.value
}

function tailOf(body: Body): string {
  const text = body.kind === 'json' ? JSON.stringify(body.value) : body.kind === 'html' ? body.snippet : body.text
  return text === '' ? '' : `: ${text.slice(0, 200)}`
}

/** Where a redirected GET goes next; throws when it must not go there. */
export function redirectTarget(call: Call, location: string | undefined): URL {
  const label = labelOf(call)
  // Repeating a POST elsewhere, or as a GET, is not what the caller asked for.
  if (call.method !== 'GET') throw new TransientError(`${label} was redirected, which a POST does not follow`)
  if (location === undefined || !URL.canParse(location, call.url.href)) {
    throw new TransientError(`${label} was redirected to nowhere`)
  }
  const target = new URL(location, call.url)
  const downgraded = call.url.protocol === 'https:' && target.protocol !== 'https:'
  if (downgraded || !/^https?:$/.test(target.protocol)) {
    throw new TransientError(`${label} was redirected to ${target.protocol}, which is not followed`)
  }
  return target
}

/** Without the query, which can hold hundreds of ids. */
export function labelOf(call: Call): string {
  return `${call.method} ${call.url.host}${call.url.pathname}`
}

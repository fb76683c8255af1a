import { Agent, request } from 'undici'
import { describeError, TransientError } from '../core/errors.ts'
import { parseRetryAfter } from './retry-after.ts'

export interface PostOptions {
  readonly signal: AbortSignal
  /** Unix ms, to read a `Retry-After` that is a date. */
  readonly nowMs: number
  readonly userAgent: string
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer of whatever status. `text` is its beginning. */
export interface PostAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

/** Messages to services that watch over this program. */
export interface Poster {
  /**
   * Sends a body. Follows nothing, retries nothing, takes 10 s at most. Throws TransientError when there is no answer;
   * its message names the host alone, because here paths are secrets.
   */
  exchange(url: string, body: string | Uint8Array, options: PostOptions): Promise<PostAnswer>
  /** The same, and throws TransientError for everything but 2xx; RefusedMessage where another one may be taken. */
  post(url: string, body: string, options: PostOptions): Promise<void>
  close(): Promise<void>
}

/** Nothing is wrong with the message: who sends it, where, or how often is. */
const ABOUT_THE_SENDER = new Set([401, 403, 404, 407, 408, 410, 425, 429])
const TIMEOUT_MS = 10_000
const ANSWER_BYTES_MAX = 65_536
const ANSWER_SHOWN_MAX = 200

/** The message itself is not taken, and will not be. */
export class RefusedMessage extends TransientError {}

/** Connections of their own, so that nothing here waits behind what is recorded, or the other way round. */
export function createPoster(): Poster {
  const agent = new Agent({
    connect: { timeout: TIMEOUT_MS },
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    connections: 4,
    keepAliveTimeout: 4_000,
    maxResponseSize: ANSWER_BYTES_MAX,
  })
  const exchange: Poster['exchange'] = async (url, body, options) => {
    const { userAgent, contentType = 'application/json', headers } = options
    try {
      const answer = await request(url, {
        dispatcher: agent,
        method: 'POST',
        headers: { 'user-agent': userAgent, 'content-type': contentType, ...headers },
        signal: AbortSignal.any([options.signal, AbortSignal.timeout(TIMEOUT_MS)]),
        body,
      })
      const text = (await answer.body.text()).slice(0, ANSWER_SHOWN_MAX)
      return { status: answer.statusCode, headers: answer.headers, text }
    } catch (error) {
      throw new TransientError(`${new URL(url).host} could not be told: ${describeError(error)}`)
    }
  }
  return {
    exchange,
    async post(url, body, options) {
      const { status, headers, text } = await exchange(url, body, options)
      if (status >= 200 && status < 300) return
      const wait = headers['retry-after']
      const retryAfterMs = parseRetryAfter(typeof wait === 'string' ? wait : '', options.nowMs)
      const shown = text.replaceAll(/\s+/g, ' ').trim()
      const said = `${new URL(url).host} answered ${status}${shown === '' ? '' : `: ${shown}`}`
      if (status >= 400 && status < 500 && !ABOUT_THE_SENDER.has(status)) throw new RefusedMessage(said)
      throw new TransientError(said, { retryAfterMs, rateLimited: status === 429 })
    },
    close: () => agent.destroy(),
  }
}

import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import type { Clock } from '../core/clock.ts'
import { describeError, TransientError } from '../core/errors.ts'
import { parseRetryAfter } from './retry-after.ts'
import { TokenBucket, Turnstile } from './turnstile.ts'

export interface WebSocketOptions {
  readonly url: string
  /** Ends the connection, or the attempt to make it. */
  readonly signal: AbortSignal
  /** One whole message. The buffer is the caller's; messages may come before `openWebSocket` resolves. */
  readonly onMessage: (data: Buffer, isBinary: boolean) => void
  /** Called once, only after the connection was open. `1006` when it ended without a word. */
  readonly onClose: (code: number, reason: string) => void
  readonly headers?: Readonly<Record<string, string>>
  readonly handshakeTimeoutMs?: number
  readonly payloadBytesMax?: number
}

export interface OpenSocket {
  /** Sends text; false when the connection is not open or too much waits to be sent already. */
  send(text: string): boolean
  /** Says goodbye; the connection is cut when the other side does not answer within 1 s. */
  close(code?: number, reason?: string): void
  /** Cuts the connection now. */
  terminate(): void
  readonly isOpen: boolean
}

const HANDSHAKE_TIMEOUT_MS = 15_000
const PAYLOAD_BYTES_MAX = 16 * 1024 * 1024
const UNSENT_BYTES_MAX = 4 * 1024 * 1024
const GOODBYE_MS = 1_000

/** Opens a connection; rejects with a TransientError when that fails. Nothing is allocated per message. */
export function openWebSocket(options: WebSocketOptions): Promise<OpenSocket> {
  const { url, signal, onMessage, onClose } = options
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: options.payloadBytesMax ?? PAYLOAD_BYTES_MAX,
      handshakeTimeout: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
      ...(options.headers === undefined ? {} : { headers: options.headers }),
    })
    const where = new URL(url).host
    let opened = false
    let failure = ''

    const onAbort = () => (opened ? close(1001, 'stopping') : socket.terminate())
    const close = (code = 1000, reason = '') => {
      socket.close(code, reason)
      // The closed socket clears this timer; it exists only while a goodbye is under way.
      const timer = setTimeout(() => socket.terminate(), GOODBYE_MS)
      socket.once('close', () => clearTimeout(timer))
    }
    const fail = (text: string, more: { cause?: unknown; retryAfterMs?: number | undefined } = {}) => {
      signal.removeEventListener('abort', onAbort)
      reject(new TransientError(`cannot connect to ${where}: ${text}`, more))
    }

    socket.on('unexpected-response', (_request, response: IncomingMessage) => {
      response.resume()
      const retryAfterMs = parseRetryAfter(response.headers['retry-after'], Date.now())
      fail(`it answered ${response.statusCode}`, { retryAfterMs })
      socket.terminate()
    })
    socket.on('open', () => {
      opened = true
      const send = (text: string): boolean => {
        if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > UNSENT_BYTES_MAX) return false
        socket.send(text)
        return true
      }
      const terminate = () => socket.terminate()
      const isOpen = () => socket.readyState === WebSocket.OPEN
      resolve({
        send,
        close,
        terminate,
        get isOpen() {
          return isOpen()
        },
      })
    })
    socket.on('message', onMessage as (data: WebSocket.RawData, isBinary: boolean) => void)
    socket.on('error', (error) => {
      failure = describeError(error) // `close` follows when the connection was open
      if (!opened) fail(failure, { cause: error })
    })
    socket.on('close', (code, reason) => {
      signal.removeEventListener('abort', onAbort)
      if (opened) onClose(code, reason.toString('utf8') || failure)
      else fail('it ended during the handshake')
    })
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
  })
}

export interface Pacer {
  /** Resolves when it is this caller's turn, or the signal aborts; returns how long that took, ms. */
  turn(signal: AbortSignal): Promise<number>
}

/** Spreads new connections to one host: `burst` at once, then `perSecond`. */
export function createPacer(clock: Clock, perSecond: number, burst: number): Pacer {
  const turnstile = new Turnstile(clock)
  const buckets = [new TokenBucket(clock, perSecond, burst)]
  return { turn: (signal) => turnstile.pass('', buckets, signal) }
}

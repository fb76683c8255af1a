import type { Worker } from 'node:worker_threads'
import type { CompressReply, CompressRequest } from './protocol.ts'
import { spawnThread } from './spawn.ts'

/** Compresses one closed segment after the other on a thread that lives only while there is work. */
export class Compressor {
  readonly #onReply: (reply: CompressReply) => void
  readonly #waiting: CompressRequest[] = []
  #thread: Worker | null = null
  #current: CompressRequest | null = null
  #closed = false

  constructor(onReply: (reply: CompressReply) => void) {
    this.#onReply = onReply
  }

  get idle(): boolean {
    return this.#current === null
  }

  add(request: CompressRequest): void {
    if (this.#closed) return
    this.#waiting.push(request)
    if (this.#current === null) this.#next()
  }

  /** Abandons what is being done: the next start finds it undone. */
  async close(): Promise<void> {
    this.#closed = true
    this.#waiting.length = 0
    await this.#endThread()
  }

  #next(): void {
    this.#current = this.#waiting.shift() ?? null
    if (this.#current === null) void this.#endThread()
    else this.#running().postMessage(this.#current)
  }

  #running(): Worker {
    if (this.#thread !== null) return this.#thread
    const thread = spawnThread('compress-worker', null)
    thread.on('message', (reply: CompressReply) => this.#finished(reply))
    thread.on('error', (error) => {
      this.#thread = null
      const segment = this.#current?.segment
      if (segment !== undefined) this.#finished({ ok: false, segment, trouble: error.message })
    })
    thread.unref()
    this.#thread = thread
    return thread
  }

  #finished(reply: CompressReply): void {
    if (this.#closed) return
    this.#onReply(reply)
    this.#next()
  }

  async #endThread(): Promise<void> {
    const thread = this.#thread
    this.#thread = null
    await thread?.terminate()
  }
}

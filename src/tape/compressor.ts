import type { Worker } from 'node:worker_threads'
import type { CompressReply, CompressRequest } from './protocol.ts'
import { spawnThread } from './spawn.ts'

interface Job {
  readonly request: CompressRequest
  readonly onReply: (reply: CompressReply) => void
}

/** Compresses one closed segment after the other on a thread that lives only while there is work. */
export class Compressor {
  readonly #waiting: Job[] = []
  #thread: Worker | null = null
  #current: Job | null = null
  #closed = false

  add(request: CompressRequest, onReply: (reply: CompressReply) => void): void {
    if (this.#closed) return
    this.#waiting.push({ request, onReply })
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
    else this.#runningThread().postMessage(this.#current.request)
  }

  #runningThread(): Worker {
    if (this.#thread !== null) return this.#thread
    const thread = spawnThread('compress-worker', null)
    thread.on('message', (reply: CompressReply) => this.#finished(reply))
    thread.on('error', (error) => {
      this.#thread = null
      this.#finished({ ok: false, final: false, trouble: error.message })
    })
    this.#thread = thread
    return thread
  }

  #finished(reply: CompressReply): void {
    const job = this.#current
    if (this.#closed || job === null) return
    job.onReply(reply)
    this.#next()
  }

  async #endThread(): Promise<void> {
    const thread = this.#thread
    this.#thread = null
    await thread?.terminate()
  }
}

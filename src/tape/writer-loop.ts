import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { assertNever, describeError } from '../core/errors.ts'
import type { Disk } from './disk.ts'
import { compressedPath, plainPath } from './layout.ts'
import { type LineConnection, LineWriter, lineConnection } from './line-writer.ts'
import type { Manifest } from './manifest.ts'
import { type PackMessage, readPack } from './pack.ts'
import type { Now, WriterReply, WriterRequest } from './protocol.ts'
import { retain } from './retention.ts'
import type { Lines, SegmentWriter } from './segment-writer.ts'

/** Packs that have piled up during a sync are synced together, up to about this much. */
const GROUP_BYTES = 8 << 20

export type Post = (reply: WriterReply, transfer?: ArrayBuffer[]) => void

/** What the thread owns beside the open segment. */
export interface Tape {
  readonly root: string
  readonly disk: Disk
  readonly manifest: Manifest
}

/** Answers the receiving thread's requests one after the other. */
export class WriterLoop {
  readonly #port: MessagePort
  readonly #writer: SegmentWriter
  readonly #post: Post
  readonly #tape: Tape
  readonly #lineWriter = new LineWriter()
  /** Being written, or written to no avail so far. */
  #pending: readonly PackMessage[] = []
  #failed = false
  /** Packs that came while failed; the other side sends no more than its limit. */
  #waiting: PackMessage[] = []

  constructor(port: MessagePort, writer: SegmentWriter, post: Post, tape: Tape) {
    this.#port = port
    this.#writer = writer
    this.#post = post
    this.#tape = tape
  }

  take(request: WriterRequest): void {
    switch (request.type) {
      case 'pack':
        this.#waiting.push(request.pack)
        if (!this.#failed) this.#takePacks(request.now)
        break
      case 'retry':
        if (this.#attempt(() => this.#commit(request.now))) this.#writeWaiting(request.now)
        break
      case 'idle':
        if (!this.#failed) this.#attempt(() => this.#writer.closeIfOld(request.now))
        break
      case 'compressed':
        this.#compressed(request)
        break
      case 'retain': {
        const { root, disk, manifest } = this.#tape
        const onDeleted = (segment: string) => this.#post({ type: 'deleted', segment })
        const result = retain(root, disk, manifest, request.rule, this.#writer.openBytes, onDeleted)
        this.#post({ type: 'retained', id: request.id, result })
        break
      }
      case 'close':
        this.#close(request.now)
        break
      default:
        assertNever(request)
    }
  }

  /** Takes what else has arrived, so that one sync serves all of it. */
  #takePacks(now: Now): void {
    let bytes = this.#waiting.reduce((sum, pack) => sum + pack.used, 0)
    while (bytes < GROUP_BYTES) {
      const received = receiveMessageOnPort(this.#port) as { message: WriterRequest } | undefined
      if (received === undefined) break
      const request = received.message
      if (request.type !== 'pack') {
        this.#writeWaiting(now)
        this.take(request)
        return
      }
      this.#waiting.push(request.pack)
      bytes += request.pack.used
    }
    this.#writeWaiting(now)
  }

  #writeWaiting(now: Now): void {
    if (this.#waiting.length === 0 || this.#failed) return
    this.#pending = this.#waiting
    this.#waiting = []
    this.#attempt(() => this.#commit(now))
  }

  #commit(now: Now): void {
    if (this.#pending.length === 0) {
      this.#writer.closeIfOld(now)
      return
    }
    const startedMs = performance.now()
    const ends = this.#writer.commit(this.#linesOf(this.#pending), now)
    this.#lineWriter.clear() // what a burst has made large is given back now
    const buffers = this.#pending.map((pack) => pack.buffer)
    this.#pending = []
    this.#post({ type: 'accepted', ends, buffers, syncMs: performance.now() - startedMs }, buffers)
  }

  #attempt(work: () => void): boolean {
    try {
      work()
    } catch (error) {
      this.#failed = true
      this.#post({ type: 'failed', trouble: describeError(error) })
      return false
    }
    if (this.#failed) this.#post({ type: 'recovered' })
    this.#failed = false
    return true
  }

  *#linesOf(packs: readonly PackMessage[]): Generator<Lines> {
    for (const pack of packs) yield this.#lines(pack)
  }

  #lines(pack: PackMessage): Lines {
    const lines = this.#lineWriter
    lines.clear()
    const connections = pack.connections.map(lineConnection)
    let count = 0
    let firstAtUs = 0
    let lastAtUs = 0
    const seen = (atUs: number) => {
      if (count === 0) firstAtUs = atUs
      lastAtUs = atUs
      count += 1
    }
    readPack(pack, {
      frame: (atUs, connection, payload) => {
        seen(atUs)
        lines.frame(atUs, connections[connection] as LineConnection, payload)
      },
      mark: (atUs, connection, mark, detail) => {
        seen(atUs)
        lines.mark(atUs, connections[connection] as LineConnection, mark, detail)
      },
    })
    return { bytes: lines.bytes, count, firstAtUs, lastAtUs }
  }

  #compressed(request: Extract<WriterRequest, { type: 'compressed' }>): void {
    const { root, disk, manifest } = this.#tape
    const { segment, sha256, gzSha256, gzBytes } = request
    try {
      if (manifest.entries.get(segment)?.deleted) disk.remove(compressedPath(root, segment))
      else {
        manifest.append({ event: 'compressed', segment, sha256, gz_sha256: gzSha256, gz_bytes: gzBytes })
        disk.remove(plainPath(root, segment))
      }
      this.#post({ type: 'compressed', segment, diskBytes: gzBytes })
    } catch (error) {
      // Both files stay and say the same; the next start tidies up.
      this.#post({
        type: 'report',
        level: 'warn',
        context: { segment, reason: describeError(error) },
        message: `tape segment ${segment} stays uncompressed for now`,
      })
    }
  }

  #close(now: Now): void {
    let trouble: string | null = null
    try {
      this.#commit(now)
      this.#failed = false
      this.#writeWaiting(now)
      if (this.#failed) throw new Error('the last batch could not be written')
      this.#writer.close()
    } catch (error) {
      trouble = describeError(error)
    }
    this.#post({ type: 'ended', trouble })
    this.#port.close()
  }
}

import type { Clock } from '../core/clock.ts'
import { assertNever, describeError, EXIT, PermanentError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { TapeAppender, TapePosition, TapeRecord, TapeStatus } from '../core/tape.ts'
import { PackAppender } from './appender.ts'
import { boundedBy, type Catalogue, LiveCatalogue } from './catalogue.ts'
import { Compressor } from './compressor.ts'
import { Follower, type LiveFollower } from './follower.ts'
import { streamRoot } from './layout.ts'
import { DEFAULT_TAPE_LIMITS, type TapeLimits } from './limits.ts'
import type {
  CompressReply,
  KnownSegment,
  Now,
  RetentionResult,
  WriterData,
  WriterReply,
  WriterRequest,
} from './protocol.ts'
import { readBack } from './read-back.ts'
import { newStatus } from './tape-status.ts'
import { TapeWalker } from './walker.ts'
import { createDeathCount, startWriter, type WriterThread } from './writer-thread.ts'

export interface TapeOptions {
  /** Holds one folder per stream. */
  readonly directory: string
  readonly stream: string
  readonly clock: Clock
  readonly log: Logger
  readonly limits?: Partial<TapeLimits>
  /**
   * The writing thread has died, which only a bug can do, and could not be started again without losing something:
   * nothing is accepted any more until the next start of the process.
   */
  readonly onDeath?: (error: PermanentError) => void
  /** A module that exports `createDisk(options)`, in place of the real disk; for tests. */
  readonly disk?: { readonly module: string; readonly options: unknown }
}

/** One stream's tape, open for writing. There must be one per stream and data directory. */
export interface Tape {
  readonly appender: TapeAppender
  /** Grows with every start; makes connection ids unique over starts. */
  readonly boot: number
  /** Reads in order from a position, or from the start, and then follows. */
  follow(from: TapePosition | null): LiveFollower
  /** The records of the last `spanUs` before a position, oldest first, in batches. */
  readBack(position: TapePosition, spanUs: number): AsyncIterable<readonly TapeRecord[]>
  /** Uncompressed bytes from a position to the accepted end. */
  behind(position: TapePosition | null): number
  /** False while something was appended that readers have not been given. */
  readonly settled: boolean
  status(): TapeStatus
  /** Deletes old segments that lie wholly before `taken`; null deletes nothing. */
  retain(rule: { maxAgeMs: number; maxBytes: number; taken: TapePosition | null }): Promise<RetentionResult>
  /** Syncs what was appended, closes the segment, ends the followers and the threads. Safe to call twice. */
  close(): Promise<void>
}

/** How often a quiet tape looks whether its segment is old, ms. */
const IDLE_CHECK_MS = 60_000
const FIRST_RETRY_MS = 1000
const LONGEST_RETRY_MS = 30_000
/** Damaged lines that are told apart, so that two readers do not count one twice. */
const MOST_DAMAGED_KNOWN = 10_000

/** Repairs what the last boot left behind and starts writing. Throws PermanentError when the folder cannot be used. */
export async function openTape(options: TapeOptions): Promise<Tape> {
  const limits = { ...DEFAULT_TAPE_LIMITS, ...options.limits }
  const root = streamRoot(options.directory, options.stream)
  const data: WriterData = {
    root,
    segmentBytes: limits.segmentBytes,
    segmentMs: limits.segmentMs,
    diskModule: options.disk?.module ?? null,
    diskOptions: options.disk?.options ?? null,
    goOnAfter: null,
  }
  try {
    return new OpenTape(options, limits, data, await startWriter(data, options.log))
  } catch (error) {
    const message = `the tape in ${options.directory} cannot be opened: ${describeError(error)}`
    throw new PermanentError(message, { cause: error, exitCode: EXIT.cannotCreate })
  }
}

class OpenTape implements Tape {
  readonly appender: PackAppender
  readonly boot: number
  readonly #options: TapeOptions
  readonly #limits: TapeLimits
  readonly #data: WriterData
  readonly #root: string
  readonly #catalogue: LiveCatalogue
  readonly #followers = new Set<Follower>()
  readonly #damaged = new Set<string>()
  readonly #retentions = new Map<number, (result: RetentionResult) => void>()
  readonly #stop = new AbortController()
  readonly #status: TapeStatus
  #thread: WriterThread
  #compressor = new Compressor()
  #failures = 0
  #dead = false
  readonly #diesTooOften: () => boolean
  #restarting: Promise<void> | null = null
  /** Segments whose compression did not work out; tried again at the next idle check. */
  #uncompressed: KnownSegment[] = []
  #closing: Promise<void> | null = null
  #ended: (trouble: string | null) => void = () => {}

  constructor(options: TapeOptions, limits: TapeLimits, data: WriterData, thread: WriterThread) {
    const { ready } = thread
    this.#options = options
    this.#limits = limits
    this.#data = data
    this.#root = data.root
    this.#thread = thread
    this.boot = ready.boot
    this.#diesTooOften = createDeathCount(options.clock)
    this.#catalogue = new LiveCatalogue(ready.segments, ready.deleted)
    this.#status = newStatus(ready.damagedLines)
    this.appender = new PackAppender({
      ...limits,
      clock: options.clock,
      send: (pack) => this.#post({ type: 'pack', pack, now: this.#now() }, [pack.buffer]),
      isFollowed: () => this.#followers.size > 0,
    })
    this.#listen(thread)
    void this.#checkIdle()
  }

  follow(from: TapePosition | null): LiveFollower {
    const follower = new Follower({
      walker: this.#walker(from),
      acceptedEnd: () => this.#catalogue.end,
      cacheBytes: this.#limits.cacheBytes,
      onClosed: (closed) => this.#followers.delete(closed),
    })
    if (this.#closing === null) this.#followers.add(follower)
    else void follower.close()
    return follower
  }

  readBack(position: TapePosition, spanUs: number): AsyncIterable<readonly TapeRecord[]> {
    return readBack(position, {
      catalogue: this.#catalogue,
      walk: (from, until) => this.#walker(from, boundedBy(this.#catalogue, until)),
      spanUs,
      maxBytes: this.#limits.readBackBytes,
    })
  }

  behind(position: TapePosition | null): number {
    return this.#catalogue.bytesAfter(position)
  }

  get settled(): boolean {
    return this.appender.pendingBytes === 0
  }

  status(): TapeStatus {
    return {
      ...this.#status,
      framesRefused: this.appender.framesRefused,
      pendingBytes: this.appender.pendingBytes,
      segments: this.#catalogue.count,
      bytesOnDisk: this.#catalogue.diskBytes,
    }
  }

  retain(rule: { maxAgeMs: number; maxBytes: number; taken: TapePosition | null }): Promise<RetentionResult> {
    const { maxAgeMs, maxBytes, taken } = rule
    const nothing = { segments: 0, bytes: 0, trouble: null }
    // A position on another tape says nothing about this one.
    if (taken === null || !this.#catalogue.knows(taken.segment)) return Promise.resolve(nothing)
    if (this.#closing !== null || this.#dead) return Promise.resolve(nothing)
    const nowUs = this.#options.clock.wallUs()
    return new Promise((resolve) => {
      const id = this.#retentions.size === 0 ? 1 : Math.max(...this.#retentions.keys()) + 1
      this.#retentions.set(id, resolve)
      this.#post({ type: 'retain', id, rule: { nowUs, maxAgeMs, maxBytes, taken: taken.segment } })
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    await this.#restarting
    await this.#compressor.close()
    if (!this.#dead) {
      const ended = new Promise<string | null>((resolve) => {
        this.#ended = resolve
      })
      this.appender.close()
      this.#post({ type: 'close', now: this.#now() })
      const trouble = await ended
      const { pendingBytes } = this.appender
      if (trouble !== null)
        this.#options.log.error({ pendingBytes }, `the tape could not be closed properly: ${trouble}`)
      this.appender.failed(trouble ?? 'the tape is closed')
    }
    this.#status.state = 'closed'
    await Promise.all([...this.#followers].map((follower) => follower.close()))
    await this.#thread.end()
  }

  #walker(from: TapePosition | null, catalogue: Catalogue = this.#catalogue): TapeWalker {
    const limits = { records: this.#limits.diskBatchRecords, bytes: this.#limits.diskBatchBytes }
    const onDamaged = (segment: string, offset: number) => this.#countDamaged(segment, offset)
    return new TapeWalker({ root: this.#root, catalogue, limits, log: this.#options.log, onDamaged }, from)
  }

  #take(reply: WriterReply): void {
    switch (reply.type) {
      case 'accepted':
        this.#accepted(reply)
        break
      case 'opened':
        this.#catalogue.opened(reply.segment)
        break
      case 'closed':
        this.#catalogue.closed(reply.segment.name, reply.segment.bytes)
        this.#compress(reply.segment)
        break
      case 'compressed':
        this.#catalogue.compressed(reply.segment, reply.diskBytes)
        break
      case 'deleted':
        this.#catalogue.deleted(reply.segment)
        break
      case 'failed':
        this.#failed(reply.trouble)
        break
      case 'recovered':
        this.#recovered()
        break
      case 'retained':
        this.#retentions.get(reply.id)?.(reply.result)
        this.#retentions.delete(reply.id)
        break
      case 'report':
        this.#options.log[reply.level](reply.context, reply.message)
        break
      case 'ended':
        // The thread's exit may come in the same turn and is no surprise any more.
        this.#status.state = 'closed'
        this.#ended(reply.trouble)
        break
      case 'ready':
        break
      default:
        assertNever(reply)
    }
  }

  #accepted(reply: Extract<WriterReply, { type: 'accepted' }>): void {
    for (const handover of this.appender.accepted(reply.ends, reply.buffers)) {
      this.#catalogue.accepted(handover.end)
      this.#status.framesAccepted += handover.frames
      this.#status.bytesAccepted += handover.payloadBytes
      for (const follower of this.#followers) follower.handOver(handover)
    }
    this.#status.lastSyncMs = this.#options.clock.wallMs()
    this.#status.lastSyncDurationMs = reply.syncMs
  }

  #failed(trouble: string): void {
    if (this.#status.state === 'closed') return
    if (this.#status.state === 'ok') this.#options.log.error({ trouble }, `the tape cannot be written: ${trouble}`)
    this.#status.state = 'failed'
    this.#status.trouble = trouble
    this.#failures += 1
    this.appender.failed(trouble)
    void this.#retry()
  }

  async #retry(): Promise<void> {
    const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(10, this.#failures - 1))
    await this.#options.clock.sleep(delayMs, this.#stop.signal)
    if (this.#closing === null && this.#status.state === 'failed') this.#post({ type: 'retry', now: this.#now() })
  }

  #recovered(): void {
    this.#options.log.warn({ failures: this.#failures }, 'the tape can be written again')
    this.#status.state = 'ok'
    this.#status.trouble = null
    this.#failures = 0
    this.appender.recovered()
  }

  #listen(thread: WriterThread): void {
    for (const segment of thread.ready.segments) this.#compress(segment)
    thread.listen(
      (reply) => this.#take(reply),
      (trouble) => this.#died(trouble),
    )
  }

  #died(trouble: string): void {
    if (this.#dead || this.#status.state === 'closed') return
    this.#dead = true
    this.#failures = 0
    this.#status.state = 'failed'
    this.#status.trouble = `its thread is gone: ${trouble}`
    this.appender.failed(this.#status.trouble)
    this.#ended(trouble)
    for (const resolve of this.#retentions.values()) resolve({ segments: 0, bytes: 0, trouble })
    this.#retentions.clear()
    if (this.#closing !== null) return
    const reason = this.#reasonToGiveUp()
    if (reason !== null) this.#giveUp(trouble, reason)
    else this.#restarting = this.#restart(trouble)
  }

  #reasonToGiveUp(): string | null {
    if (this.#diesTooOften()) return 'it dies again and again'
    return this.appender.canSendAgain ? null : 'it held more than memory keeps'
  }

  /** Another thread goes on after the last accepted line, in a new segment, with what the dead one had not synced. */
  async #restart(trouble: string): Promise<void> {
    const { log } = this.#options
    log.error({ trouble }, `the tape's thread is gone and started again: ${trouble}`)
    try {
      await this.#compressor.close()
      this.#thread = await startWriter({ ...this.#data, goOnAfter: { end: this.#catalogue.end } }, log)
    } catch (error) {
      return this.#giveUp(trouble, describeError(error))
    }
    const { segments, deleted, damagedLines } = this.#thread.ready
    this.#dead = false
    this.#status.damagedLines += damagedLines
    this.#catalogue.replace(segments, deleted)
    this.#compressor = new Compressor()
    this.#uncompressed = []
    this.#listen(this.#thread)
    const again = this.appender.sendAgain()
    log.warn({ packs: again }, 'the tape is written by a new thread')
    this.#status.state = 'ok'
    this.#status.trouble = null
    this.appender.recovered()
  }

  #giveUp(trouble: string, reason: string): void {
    const message = `the tape's thread is gone (${trouble}) and cannot be started again: ${reason}`
    this.#options.log.fatal({ trouble }, message)
    this.#options.onDeath?.(new PermanentError(message, { exitCode: EXIT.internal }))
  }

  async #checkIdle(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#options.clock.sleep(IDLE_CHECK_MS, this.#stop.signal)
      if (this.#stop.signal.aborted) return
      if (this.#dead) continue
      this.#post({ type: 'idle', now: this.#now() })
      for (const segment of this.#uncompressed.splice(0)) this.#compress(segment)
    }
  }

  #compress(segment: KnownSegment): void {
    if (segment.compressed || segment.bytes === 0) return
    const { name, bytes, sha256 } = segment
    this.#compressor.add({ root: this.#root, segment: name, bytes, sha256 }, (reply) =>
      this.#compressed(segment, reply),
    )
  }

  #compressed(segment: KnownSegment, reply: CompressReply): void {
    const { name } = segment
    if (reply.ok) {
      const { sha256, gzSha256, gzBytes } = reply
      this.#post({ type: 'compressed', segment: name, sha256, gzSha256, gzBytes })
    } else if (this.#catalogue.endOf(name) !== null) {
      const context = { segment: name, reason: reply.trouble }
      this.#options.log.warn(context, `tape segment ${name} stays uncompressed: ${reply.trouble}`)
      if (!reply.final) this.#uncompressed.push(segment)
    }
  }

  #countDamaged(segment: string, offset: number): void {
    const key = `${segment}:${offset}`
    if (this.#damaged.has(key)) return
    if (this.#damaged.size < MOST_DAMAGED_KNOWN) this.#damaged.add(key)
    this.#status.damagedLines += 1
    this.#options.log.warn({ segment, offset }, `tape segment ${segment}: a damaged line was skipped`)
  }

  #now(): Now {
    return { wallMs: this.#options.clock.wallMs(), monotonicMs: this.#options.clock.monotonicMs() }
  }

  #post(request: WriterRequest, transfer: ArrayBuffer[] = []): void {
    this.#thread.post(request, transfer)
  }
}

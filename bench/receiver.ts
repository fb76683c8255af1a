import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { emptyStreamStatus, type StreamStatus } from '../src/core/collector.ts'
import { NOTHING_FOLLOWED } from '../src/core/coverage.ts'
import type { ConditionId, TokenId } from '../src/core/ids.ts'
import type { TokenDirectory, TokenFacts } from '../src/core/market.ts'
import type { StreamLedger } from '../src/core/rows.ts'
import type { RecorderStatus } from '../src/core/status.ts'
import { createRecorder } from '../src/recorder/recorder.ts'
import { systemClock } from '../src/runtime/system-clock.ts'
import { PolymarketBookChecker } from '../src/sources/polymarket/book-checker.ts'
import { decodeFrame } from '../src/sources/polymarket/decode.ts'
import { type MarketConnection, openMarketConnection } from '../src/sources/polymarket/market-connection.ts'
import { createTapeGate } from '../src/sources/polymarket/tape-gate.ts'
import { openTape, type Tape } from '../src/tape/tape.ts'
import type { Fact } from './frames.ts'
import { quiet } from './quiet.ts'
import type { ReceiverJob, ReceiverResult, Sample } from './receiver-job.ts'

/** The receiving side, in a process of its own: one job as its argument, one line of result on stdout. */

const STREAM = 'polymarket.trades'
const POLL_MS = 4
const SAMPLE_MS = 250
/** Frames sent and not yet dealt with: well below what the tape takes at once, */
const WINDOW_FRAMES = 50_000
/** and little enough for the reader of the tape to stay in memory. */
const WINDOW_FRAMES_BOOKS = 16_000
const IDLE_LIMIT_MS = 20_000
const PING_INTERVAL_MS = 10_000
const STALL_TIMEOUT_MS = 120_000
const SUBSCRIBE_PACE_MS = 20

const clock = systemClock()
const life = new AbortController()

/** What is measured: counts what it has dealt with. */
interface Subject {
  done(): number
  /** Resolves when everything received so far is dealt with. */
  settled(): Promise<void>
  close(): Promise<void>
  readonly tape: Tape | null
  readonly status: StreamStatus
  recorder(): RecorderStatus | null
}

/** The floor: what `ws` and JSON.parse cost by themselves. */
async function openFloor(url: string): Promise<Subject> {
  const status = emptyStreamStatus()
  const socket = new WebSocket(url, { perMessageDeflate: false })
  let parsed = 0
  socket.on('message', (data: Buffer) => {
    JSON.parse(data.toString('utf8'))
    parsed += 1
    status.bytesReceived += data.length
  })
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  return {
    done: () => parsed,
    settled: () => Promise.resolve(),
    close: () => Promise.resolve(socket.terminate()),
    tape: null,
    status,
    recorder: () => null,
  }
}

/** The product's own way from the socket to the tape and, with `books`, on to events, books and rows. */
async function openProduct(job: ReceiverJob, groups: readonly (readonly TokenId[])[]): Promise<Subject> {
  const tape = await openTape({
    directory: job.directory,
    stream: STREAM,
    clock,
    log: quiet,
    ...(job.segmentBytes === null ? {} : { limits: { segmentBytes: job.segmentBytes } }),
  })
  const status = emptyStreamStatus()
  const gate = createTapeGate(tape.appender, clock, () => {})
  let decoded = 0
  const recorder = createRecorder({
    recorderId: 'bench',
    stream: STREAM,
    tape,
    ledger: discarding,
    decode: (payload) => {
      decoded += 1
      return decodeFrame(payload)
    },
    checker: new PolymarketBookChecker(directoryOf(job.factsPath)),
    clock,
    log: quiet,
  })
  const running = job.books ? recorder.run(life.signal) : Promise.resolve()
  running.catch((error: unknown) => fail(error))
  const connections: MarketConnection[] = []
  for (const [index, tokens] of groups.entries()) {
    const connection = await openMarketConnection({
      id: `b1-${index}`,
      url: job.url,
      clock,
      signal: life.signal,
      gate,
      status,
      pingIntervalMs: PING_INTERVAL_MS,
      stallTimeoutMs: STALL_TIMEOUT_MS,
      subscribePaceMs: SUBSCRIBE_PACE_MS,
      inheritedRate: 0,
      patience: 1,
      replaces: null,
    })
    connection.subscriptions.add(tokens)
    connections.push(connection)
  }
  const heartbeat = setInterval(() => {
    for (const connection of connections) connection.tick(clock.monotonicMs(), false)
  }, 1_000)
  const done = () => (job.books ? Math.min(decoded, tape.status().framesAccepted) : tape.status().framesAccepted)
  return {
    done,
    async settled() {
      const received = status.framesReceived
      await tape.appender.flushed()
      while (done() < received) await delay(1)
    },
    async close() {
      clearInterval(heartbeat)
      life.abort()
      await running
      await tape.close()
    },
    tape,
    status,
    recorder: () => (job.books ? recorder.status() : null),
  }
}

/** Takes every row and keeps none: the ledger's own cost is another benchmark. */
const discarding: StreamLedger = {
  loadPosition: () => Promise.resolve(null),
  loadCoverage: () => Promise.resolve(NOTHING_FOLLOWED),
  commitStream: (batch) =>
    Promise.resolve({
      tradesInserted: batch.trades.length,
      tickSizesInserted: batch.tickSizes.length,
      lifecycleInserted: batch.lifecycle.length,
      duplicates: 0,
      poisoned: 0,
    }),
}

function readFacts(path: string): Fact[] {
  return JSON.parse(readFileSync(path, 'utf8')) as Fact[]
}

function directoryOf(factsPath: string): TokenDirectory {
  const known = new Map<string, TokenFacts>()
  for (const fact of readFacts(factsPath)) {
    const { conditionId, minOrderSize, negRisk, version } = fact
    const tokenId = fact.tokenId as TokenId
    known.set(tokenId, {
      tokenId,
      conditionId: conditionId as ConditionId,
      tickSize: null,
      minOrderSize,
      negRisk,
      version,
    })
  }
  return { facts: (token) => known.get(token) }
}

/** Lets the sender send up to `total` frames, never more than the window ahead; resolves when all are dealt with. */
async function receive(
  job: ReceiverJob,
  control: WebSocket,
  subject: Subject,
  from: number,
  total: number,
): Promise<void> {
  const window = job.books ? WINDOW_FRAMES_BOOKS : WINDOW_FRAMES
  let allowed = from
  let seen = from
  let movedMs = performance.now()
  for (;;) {
    const done = subject.done()
    if (done !== seen) movedMs = performance.now()
    seen = done
    if (subject.status.framesRefused > 0) throw new Error(`the tape refused ${subject.status.framesRefused} frames`)
    if (done >= total) return
    if (performance.now() - movedMs > IDLE_LIMIT_MS) throw new Error(`stuck at frame ${done} of ${total}`)
    const upTo = Math.min(total, done + window)
    if (upTo > allowed) {
      allowed = upTo
      control.send(String(allowed))
    }
    if (subject.tape !== null && subject.status.framesReceived >= total) await subject.settled()
    else await delay(POLL_MS)
  }
}

async function runFlatOut(job: ReceiverJob): Promise<ReceiverResult> {
  const control = new WebSocket(`${job.url}/control`)
  await new Promise((resolve, reject) => control.once('open', resolve).once('error', reject))
  const tokens = readFacts(job.factsPath).map((fact) => fact.tokenId as TokenId)
  const data = { ...job, url: `${job.url}/data` }
  const subject = job.product ? await openProduct(data, [tokens]) : await openFloor(data.url)
  await receive(job, control, subject, 0, job.warmUpFrames)
  const started = measure(subject)
  await receive(job, control, subject, job.warmUpFrames, job.frames)
  const result = finish(subject, started, job.frames - job.warmUpFrames, [])
  control.terminate()
  await subject.close()
  return result
}

async function runPaced(job: ReceiverJob): Promise<ReceiverResult> {
  const tokens = readFacts(job.factsPath).map((fact) => fact.tokenId as TokenId)
  const groups: TokenId[][] = []
  for (let from = 0; from < tokens.length; from += 500) groups.push(tokens.slice(from, from + 500))
  const subject = await openProduct(job, groups)
  await delay(job.warmUpMs)
  const started = measure(subject)
  const samples: Sample[] = []
  const endMs = started.atMs + job.seconds * 1000
  while (performance.now() < endMs) {
    await delay(Math.min(SAMPLE_MS, Math.max(1, endMs - performance.now())))
    const lag = subject.status.framesReceived - subject.done()
    samples.push({ seconds: (performance.now() - started.atMs) / 1000, rssBytes: process.memoryUsage.rss(), lag })
  }
  const result = finish(subject, started, subject.done() - started.done, samples)
  await subject.close()
  return result
}

function measure(subject: Subject) {
  const { bytesReceived } = subject.status
  return { atMs: performance.now(), cpu: process.cpuUsage(), done: subject.done(), bytesReceived }
}

function finish(
  subject: Subject,
  started: ReturnType<typeof measure>,
  frames: number,
  samples: readonly Sample[],
): ReceiverResult {
  const seconds = (performance.now() - started.atMs) / 1000
  const { user, system } = process.cpuUsage(started.cpu)
  const status = subject.recorder()
  return {
    frames,
    seconds,
    cpuSeconds: (user + system) / 1_000_000,
    bytes: subject.status.bytesReceived - started.bytesReceived,
    refused: subject.status.framesRefused,
    damaged: status?.damagedLines ?? 0,
    rejects: status?.rejects ?? 0,
    checks: status?.checks ?? null,
    booksKept: status?.booksKept ?? 0,
    rssBytes: process.memoryUsage.rss(),
    samples,
  }
}

function fail(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(70)
}

const job = JSON.parse(process.argv[2] ?? '{}') as ReceiverJob
const work = job.seconds > 0 ? runPaced(job) : runFlatOut(job)
work.then((result) => {
  process.stdout.write(`${JSON.stringify(result)}\n`)
}, fail)

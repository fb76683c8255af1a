import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { Engine, type Feed } from '../src/sim/engine.ts'
import { dumpBook, dumpFrame } from '../src/sim/frames.ts'
import type { SimMarket } from '../src/sim/market.ts'
import { type PartialVenueOptions, venueOptions } from '../src/sim/options.ts'
import { createWorld, type World } from '../src/sim/world.ts'

/** What the book check must know of a token, as the venue's listing would have told it. */
export interface Fact {
  readonly tokenId: string
  readonly conditionId: string
  readonly minOrderSize: string
  readonly negRisk: boolean
  readonly version: string
}

/** Frames of the market channel as they go over the wire: each with the header of an unmasked WebSocket message. */
export interface FrameFile {
  readonly path: string
  /** JSON: `Fact[]`. */
  readonly factsPath: string
  /** Initial dumps, which come first, included. */
  readonly frames: number
  /** Of the frames after the dumps, bytes of payload. */
  readonly averageBytes: number
}

/** Levels and batches that give the venue's measured mean of 713 bytes a frame. */
const LIKE_THE_VENUE: PartialVenueOptions = { markets: 250, levels: 40, batchMax: 6, tradeShare: 0.07 }
const SIMULATED_RATE = 20_000
const STEP_MS = 4
const MARKETS_PER_DUMP = 50
const WRITE_BYTES = 4 * 1024 * 1024

/** Simulates the venue at a fixed pace and writes what one connection with every token would receive. */
export function buildFrames(folder: string, frames: number, startMs: number): FrameFile {
  const options = venueOptions({ ...LIKE_THE_VENUE, rate: SIMULATED_RATE })
  const world = createWorld(options, startMs)
  const path = `${folder}/frames.bin`
  const writer = frameWriter(path)
  for (let from = 0; from < world.markets.length; from += MARKETS_PER_DUMP) {
    const books = world.markets.slice(from, from + MARKETS_PER_DUMP).flatMap(bothBooks)
    writer.add(dumpFrame(books))
  }
  const dumps = writer.totals()
  const add = (text: string) => {
    if (writer.totals().frames < frames) writer.add(text)
  }
  const feed: Feed = {
    wanted: () => true,
    toMarket: (_market, _kind, text) => add(text),
    toToken: (_market, _outcome, _kind, text) => add(text),
    toTokenCustom: () => {},
    broadcast: () => {},
  }
  let nowMs = 0
  const engine = new Engine(options, world, feed, nowMs)
  while (writer.totals().frames < frames) {
    nowMs += STEP_MS
    engine.advance(startMs + nowMs, () => nowMs)
  }
  writer.close()
  const factsPath = `${folder}/facts.json`
  writeFileSync(factsPath, JSON.stringify(factsOf(world)))
  const all = writer.totals()
  return { path, factsPath, frames: all.frames, averageBytes: (all.bytes - dumps.bytes) / (all.frames - dumps.frames) }
}

function bothBooks(market: SimMarket): string[] {
  return [dumpBook(market, 0), dumpBook(market, 1)]
}

/** The facts of every market of a world. Tick sizes change while it runs, so that only frames know the present one. */
export function factsOf(world: World): Fact[] {
  return world.markets.flatMap(({ tokens, conditionId, minOrderSize, negRisk, version }) =>
    tokens.map((tokenId) => ({ tokenId, conditionId, minOrderSize, negRisk, version })),
  )
}

function frameWriter(path: string) {
  const file = openSync(path, 'w')
  const totals = { frames: 0, bytes: 0 }
  let parts: Buffer[] = []
  let waiting = 0
  const flush = () => {
    writeSync(file, Buffer.concat(parts))
    parts = []
    waiting = 0
  }
  return {
    add(text: string) {
      const payload = Buffer.from(text)
      const header = headerOf(payload.length)
      parts.push(header, payload)
      waiting += header.length + payload.length
      totals.frames += 1
      totals.bytes += payload.length
      if (waiting >= WRITE_BYTES) flush()
    },
    totals: () => ({ ...totals }),
    close() {
      flush()
      closeSync(file)
    },
  }
}

const FINAL_TEXT = 0x81
const LENGTH_16 = 126
const LENGTH_64 = 127

/** RFC 6455, 5.2: a whole text message from a server. */
function headerOf(length: number): Buffer {
  if (length < LENGTH_16) return Buffer.from([FINAL_TEXT, length])
  if (length < 65_536) {
    const header = Buffer.from([FINAL_TEXT, LENGTH_16, 0, 0])
    header.writeUInt16BE(length, 2)
    return header
  }
  const header = Buffer.alloc(10)
  header[0] = FINAL_TEXT
  header[1] = LENGTH_64
  header.writeBigUInt64BE(BigInt(length), 2)
  return header
}

/** Where each message of such a file begins, and where the last one ends. */
export function messageStarts(bytes: Buffer): number[] {
  const starts: number[] = []
  let at = 0
  while (at < bytes.length) {
    starts.push(at)
    const short = bytes.readUInt8(at + 1)
    if (short < LENGTH_16) at += 2 + short
    else if (short === LENGTH_16) at += 4 + bytes.readUInt16BE(at + 2)
    else at += 10 + Number(bytes.readBigUInt64BE(at + 2))
  }
  starts.push(at)
  return starts
}

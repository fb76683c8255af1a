import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { TapePosition } from '../core/tape.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { compressedPath, listSegments, manifestPath, plainPath, segmentFolder } from './layout.ts'
import type { TapeLimits } from './limits.ts'
import { readManifest } from './manifest.ts'
import { readTape } from './read-tape.ts'
import { openTape, type Tape } from './tape.ts'
import { memoryLog, payloads, readUntil, temporaryFolder } from './test-support.ts'
import { verifyTape } from './verify.ts'

const AT = 1_790_000_000_000_000
const never = new AbortController().signal

interface Fixture {
  readonly directory: string
  readonly root: string
  readonly clock: SimulatedClock
  readonly tape: Tape
  readonly log: ReturnType<typeof memoryLog>
  /** Appends `{"n":…}` frames as one batch, received one second apart. */
  readonly write: (from: number, to: number) => Promise<void>
}

async function fixture(t: TestContext, limits: Partial<TapeLimits>, directory = temporaryFolder()): Promise<Fixture> {
  const clock = new SimulatedClock(AT / 1000)
  const log = memoryLog()
  const tape = await openTape({ directory, stream: 's', clock, log, limits })
  t.after(() => tape.close())
  const write = async (from: number, to: number) => {
    for (let n = from; n < to; n += 1) tape.appender.append('c', AT + n * 1e6, Buffer.from(`{"n":${n}}`))
    await tape.appender.flushed()
  }
  return { directory, root: join(directory, 's'), clock, tape, log, write }
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `{"n":${from + i}}`)
}

/** Compression is done by threads that no clock moves: look again after each turn of the event loop. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

function allCompressed(root: string, but = 0): boolean {
  const plain = listSegments(root).filter((segment) => segment.plain)
  return plain.length <= but
}

async function readAll(directory: string, from: TapePosition | null = null, to: TapePosition | null = null) {
  const found: string[] = []
  for await (const { records } of readTape({ directory, stream: 's', from, until: to, log: memoryLog() })) {
    found.push(...payloads(records))
  }
  return found
}

test('a segment closes at its size, is compressed in the background and stays readable by any tool', async (t) => {
  const { directory, root, tape, write } = await fixture(t, { segmentBytes: 1000 })
  for (let n = 0; n < 60; n += 20) await write(n, n + 20)
  await until(() => allCompressed(root, 1))
  const [first] = listSegments(root)
  assert.ok(first)
  const path = compressedPath(root, first.name)
  const content = execFileSync('gzip', ['-dc', path])
  const { entries, faults } = readManifest(manifestPath(root))
  await until(() => readManifest(manifestPath(root)).entries.get(first.name)?.compressed != null)
  const compressed = readManifest(manifestPath(root)).entries.get(first.name)?.compressed
  const closed = entries.get(first.name)?.closed
  assert.deepEqual(faults, [])
  assert.equal(compressed?.sha256, createHash('sha256').update(content).digest('hex'))
  assert.equal(compressed?.gz_sha256, createHash('sha256').update(readFileSync(path)).digest('hex'))
  assert.deepEqual([closed?.lines, closed?.bytes], [20, content.length])
  assert.deepEqual([closed?.first_at, closed?.last_at], [AT, AT + 19e6])
  assert.deepEqual(await readAll(directory), numbered(0, 60))
  assert.equal(tape.status().segments, 3)
  const sizes = listSegments(root).map(({ name, plain }) =>
    readFileSync((plain ? plainPath : compressedPath)(root, name)),
  )
  await until(() => tape.status().bytesOnDisk === sizes.reduce((sum, bytes) => sum + bytes.length, 0))
})

test('a segment closes at its age, also when nothing comes any more', async (t) => {
  const { root, clock, write } = await fixture(t, {})
  await write(0, 1)
  await clock.advance(15 * 60_000)
  await write(1, 2)
  assert.equal(listSegments(root).length, 2)
  await clock.advance(16 * 60_000)
  await until(() => allCompressed(root))
  assert.equal(readManifest(manifestPath(root)).entries.size, 2)
})

test('a reader in the middle of a segment keeps its place while it is compressed', async (t) => {
  const { root, tape, write } = await fixture(t, { segmentBytes: 3000, diskBatchRecords: 10, diskBatchBytes: 700 })
  await write(0, 100)
  const held = tape.follow(null)
  const first = await held.next(never)
  assert.ok(first)
  const fresh = await held.next(never)
  await write(100, 200)
  await until(() => allCompressed(root, 1))
  const taken = [...payloads(first.records), ...payloads(fresh?.records ?? [])]
  const { records } = await readUntil(held, (all) => all.length + taken.length >= 200)
  assert.deepEqual([...taken, ...payloads(records)], numbered(0, 200))
  const resumed = await readUntil(tape.follow(first.end), (all) => all.length + first.records.length >= 200)
  assert.deepEqual(payloads(resumed.records), numbered(first.records.length, 200))
})

test('a position deep inside a large compressed segment is found', async (t) => {
  const { directory, root, tape, write } = await fixture(t, { segmentBytes: 3 << 20, diskBatchRecords: 400 })
  const padding = 'x'.repeat(4000)
  const frames = Array.from({ length: 800 }, (_, n) => `{"n":${n},"p":"${padding}"}`)
  for (const frame of frames) tape.appender.append('c', AT, Buffer.from(frame))
  await tape.appender.flushed()
  await write(800, 801)
  await until(() => allCompressed(root, 1))
  const { batches } = await readUntil(tape.follow(null), (all) => all.length === 801)
  let taken = 0
  for (const { records, end } of batches) {
    taken += records.length
    assert.deepEqual(await readAll(directory, end), [...frames, '{"n":800}'].slice(taken))
  }
  assert.ok(batches.length > 3)
})

test('reading ends at a given position', async (t) => {
  const { directory, tape, write } = await fixture(t, { segmentBytes: 500, diskBatchRecords: 3 })
  for (let n = 0; n < 40; n += 10) await write(n, n + 10)
  const { batches } = await readUntil(tape.follow(null), (all) => all.length === 40)
  const [from, to] = [batches[2]?.end, batches[8]?.end]
  assert.ok(from && to)
  const before = batches.slice(0, 3).flatMap((batch) => batch.records).length
  const upTo = batches.slice(0, 9).flatMap((batch) => batch.records).length
  assert.deepEqual(await readAll(directory, from, to), numbered(before, upTo))
})

test('retention takes the oldest by age and size, and nothing that the ledger has not taken', async (t) => {
  const { directory, root, clock, tape, write } = await fixture(t, { segmentBytes: 100 })
  for (let n = 0; n < 60; n += 10) await write(n, n + 10)
  await until(() => allCompressed(root, 1))
  const names = listSegments(root).map((segment) => segment.name)
  assert.equal(names.length, 6)
  const at = (index: number) => ({ segment: names[index] ?? '', offset: 1, line: 0 })
  const rule = { maxAgeMs: 0, maxBytes: 0 }
  await clock.advance(3_600_000)
  assert.equal((await tape.retain({ ...rule, taken: null })).segments, 0)
  assert.equal((await tape.retain({ ...rule, taken: at(0) })).segments, 0)
  const foreign = { segment: '20300101T000000Z-000900-000001', offset: 0, line: 0 }
  assert.equal((await tape.retain({ ...rule, taken: foreign })).segments, 0)
  assert.equal((await tape.retain({ maxAgeMs: 1e9, maxBytes: 1e9, taken: at(5) })).segments, 0)
  // The first segment's last frame is 9 s, the second one's 19 s after the start of this hour.
  assert.equal((await tape.retain({ maxAgeMs: 3_600_000 - 15_000, maxBytes: 1e9, taken: at(5) })).segments, 1)
  const size = (name: string) => readFileSync(compressedPath(root, name)).length
  const result = await tape.retain({ maxAgeMs: 1e9, maxBytes: tape.status().bytesOnDisk - 1, taken: at(5) })
  assert.equal(result.segments, 1)
  assert.ok(result.bytes > 0 && size(names[2] ?? '') > 0)
  assert.equal((await tape.retain({ ...rule, taken: at(4) })).segments, 2)
  assert.deepEqual(
    listSegments(root).map((segment) => segment.name),
    names.slice(4),
  )
  assert.equal(tape.status().segments, 2)
  assert.deepEqual(await readAll(directory), numbered(40, 60))
  assert.deepEqual((await verifyTape(directory, 's', () => {})).findings, [])
  // A position in a deleted segment goes on with what is left.
  const { records } = await readUntil(tape.follow(at(1)), (all) => all.length === 20)
  assert.deepEqual(payloads(records), numbered(40, 60))
})

test('reading back yields the last seconds before a position, oldest first, over several segments', async (t) => {
  const { tape, write } = await fixture(t, { segmentBytes: 200_000, diskBatchRecords: 500, diskBatchBytes: 50_000 })
  const padding = 'x'.repeat(1000)
  for (let n = 0; n < 3000; n += 1)
    tape.appender.append('c', AT + n * 10_000, Buffer.from(`{"n":${n},"p":"${padding}"}`))
  await tape.appender.flushed()
  await write(3000, 3001)
  const { batches } = await readUntil(tape.follow(null), (all) => all.length === 3001)
  const reached = batches.findIndex((_, i) => batches.slice(0, i + 1).flatMap((batch) => batch.records).length > 2500)
  const position = batches[reached]?.end
  const last = batches.slice(0, reached + 1).flatMap((batch) => batch.records).length
  assert.ok(position)
  const back: string[] = []
  for await (const records of tape.readBack(position, 15e6)) back.push(...payloads(records))
  const first = Number(/\d+/.exec(back[0] ?? '')?.[0])
  assert.equal(back.length, last - first)
  assert.match(back.at(-1) ?? '', new RegExp(`^{"n":${last - 1},`))
  // 15 s are 1500 records; what is read begins with the batch that holds the first of them.
  assert.ok(first <= last - 1500 && first > last - 1500 - 500, `from ${first} to ${last}`)
})

test('reading back survives a clock that jumps', async (t) => {
  const { tape } = await fixture(t, { diskBatchRecords: 10 })
  const append = (n: number, atUs: number) => tape.appender.append('c', atUs, Buffer.from(`{"n":${n}}`))
  for (let n = 0; n < 100; n += 1) append(n, AT + n)
  for (let n = 100; n < 200; n += 1) append(n, AT + 7200e6 + n)
  for (let n = 200; n < 300; n += 1) append(n, AT - 7200e6 + n)
  await tape.appender.flushed()
  const { batches } = await readUntil(tape.follow(null), (all) => all.length === 300)
  const back: string[] = []
  for await (const records of tape.readBack(batches.at(-1)?.end ?? assert.fail(), 60e6)) back.push(...payloads(records))
  assert.deepEqual(back, numbered(0, 300))
})

test('verify finds a flipped byte, a deleted line, a missing segment and a broken chain', async (t) => {
  const source = await fixture(t, { segmentBytes: 1000 })
  for (let n = 0; n < 60; n += 20) await source.write(n, n + 20)
  await until(() => allCompressed(source.root, 1))
  await source.tape.close()
  const names = listSegments(source.root).map((segment) => segment.name)
  const findings = async (spoil: (root: string) => void) => {
    const directory = temporaryFolder()
    const root = join(directory, 's')
    cpSync(source.root, root, { recursive: true })
    spoil(root)
    const seen: number[] = []
    const result = await verifyTape(directory, 's', ({ segmentsDone }) => seen.push(segmentsDone))
    assert.deepEqual(seen, [1, 2, 3])
    return result.findings.map(({ kind, segment }) => `${kind} ${segment === null ? '-' : names.indexOf(segment)}`)
  }
  const edit = (path: string, change: (bytes: Buffer) => Buffer) => writeFileSync(path, change(readFileSync(path)))
  const last = (root: string) => plainPath(root, names[2] ?? '')
  const flip = (at: number) => (bytes: Buffer) => {
    bytes[at] = (bytes[at] as number) ^ 4
    return bytes
  }
  const without = (line: number) => (bytes: Buffer) =>
    Buffer.from(bytes.toString().split('\n').toSpliced(line, 1).join('\n'))
  assert.deepEqual(await findings(() => {}), [])
  assert.deepEqual(await findings((root) => edit(last(root), flip(61))), ['content 2', 'damaged lines 2'])
  // A receive time is not under the line's CRC, but it is under the segment's hash.
  assert.deepEqual(await findings((root) => edit(last(root), flip(20))), ['content 2'])
  assert.deepEqual(await findings((root) => edit(last(root), without(3))), ['bytes 2', 'lines 2', 'content 2'])
  assert.deepEqual(await findings((root) => rmSync(compressedPath(root, names[0] ?? ''))), ['missing 0'])
  const gz = (root: string) => compressedPath(root, names[1] ?? '')
  assert.ok(
    (await findings((root) => edit(gz(root), flip(60)))).some((finding) =>
      /^(content|compressed file) 1/.test(finding),
    ),
  )
  assert.ok((await findings((root) => edit(gz(root), flip(5)))).includes('compressed file 1'))
  const manifest = (root: string) => manifestPath(root)
  assert.ok((await findings((root) => edit(manifest(root), flip(300)))).includes('manifest -'))
  assert.ok((await findings((root) => edit(manifest(root), without(1)))).includes('manifest -'))
  const stray = (root: string) => join(segmentFolder(root, names[0] ?? ''), `${names[0]?.slice(0, -1)}0.ndjson`)
  const found = (await verifyStray(source.root, stray)).map(({ kind }) => kind)
  assert.deepEqual(found, ['unlisted'])
})

async function verifyStray(from: string, stray: (root: string) => string) {
  const directory = temporaryFolder()
  cpSync(from, join(directory, 's'), { recursive: true })
  writeFileSync(stray(join(directory, 's')), '')
  return (await verifyTape(directory, 's', () => {})).findings
}

test('a damaged line is skipped, counted once and reported; its neighbours are read', async (t) => {
  const directory = temporaryFolder()
  const first = await fixture(t, {}, directory)
  await first.write(0, 10)
  await first.tape.close()
  const [segment] = listSegments(first.root)
  const path = plainPath(first.root, segment?.name ?? '')
  const bytes = readFileSync(path)
  const line = bytes.length / 10
  bytes[line * 4 + 61] = 0x58
  writeFileSync(path, bytes)
  const { tape, log } = await fixture(t, {}, directory)
  for (let reader = 0; reader < 2; reader += 1) {
    const { records, batches } = await readUntil(tape.follow(null), (all) => all.length === 9)
    assert.deepEqual(payloads(records), numbered(0, 10).toSpliced(4, 1))
    assert.deepEqual([batches[0]?.damagedLines, batches[0]?.end.line], [1, 10])
  }
  assert.equal(tape.status().damagedLines, 1)
  // What was changed since it was closed is not compressed away.
  await until(() => log.lines.some((text) => text.includes('its content is not what was recorded')))
  assert.ok(readFileSync(path).equals(bytes))
})

test('a compression that fails is tried again', async (t) => {
  const { root, clock, write, log } = await fixture(t, { segmentBytes: 100 })
  await write(0, 10)
  const [segment] = listSegments(root)
  const obstacle = `${compressedPath(root, segment?.name ?? '')}.tmp`
  mkdirSync(obstacle)
  await write(10, 20)
  await until(() => log.lines.some((text) => text.includes('stays uncompressed')))
  rmdirSync(obstacle)
  await clock.advance(60_000)
  await until(() => allCompressed(root, 1))
})

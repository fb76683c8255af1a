import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../core/random.ts'
import type { TapePosition } from '../core/tape.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { listSegments, manifestPath, plainPath } from './layout.ts'
import type { TapeLimits } from './limits.ts'
import { withoutFinalNewline } from './line-reader.ts'
import { readManifest } from './manifest.ts'
import { readTape } from './read-tape.ts'
import { openTape, type Tape } from './tape.ts'
import { memoryLog, payloads, readUntil, temporaryFolder } from './test-support.ts'

const AT = 1_790_000_000_000_000
const never = new AbortController().signal

async function open(t: TestContext, directory: string, limits: Partial<TapeLimits> = {}, clock = new SimulatedClock()) {
  const tape = await openTape({ directory, stream: 'polymarket', clock, log: memoryLog(), limits })
  t.after(() => tape.close())
  return tape
}

function appendAll(tape: Tape, frames: readonly (Buffer | string)[], connection = 'c-1'): void {
  for (const [i, frame] of frames.entries()) assert.ok(tape.appender.append(connection, AT + i, Buffer.from(frame)))
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `{"n":${from + i}}`)
}

async function readAll(directory: string, from: TapePosition | null = null): Promise<string[]> {
  const found: string[] = []
  for await (const batch of readTape({ directory, stream: 'polymarket', from, until: null, log: memoryLog() })) {
    found.push(...payloads(batch.records))
  }
  return found
}

test('a frame is handed over only once it is synced, live while the reader keeps up', async (t) => {
  const directory = temporaryFolder()
  const clock = new SimulatedClock()
  const tape = await open(t, directory, {}, clock)
  const follower = tape.follow(null)
  const first = follower.next(never)
  appendAll(tape, ['{"a":1}', 'PONG\n'])
  assert.equal(tape.status().framesAccepted, 0)
  assert.ok(tape.status().pendingBytes > 0)
  await clock.advance(100)
  const batch = await first
  assert.ok(batch?.live)
  assert.deepEqual(payloads(batch.records), ['{"a":1}', 'PONG'])
  assert.equal(readFileSync(plainPath(join(directory, 'polymarket'), batch.end.segment)).length, batch.end.offset)
  assert.deepEqual([tape.status().framesAccepted, tape.status().pendingBytes], [2, 0])
})

test('any sequence of payloads comes back byte for byte, live and from disk alike', async (t) => {
  const directory = temporaryFolder()
  const tape = await open(t, directory, { segmentBytes: 20_000 })
  const live = tape.follow(null)
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .array(fc.constantFrom('\n', '\r', '{}', '"', '\\', 'é'), { maxLength: 6 })
      .map((texts) => Buffer.from(texts.join(''))),
  )
  const item = fc.record({ payload, connection: fc.constantFrom('c-1', 'c-2', 'ü"'), mark: fc.boolean() })
  let end: TapePosition | null = null
  const property = fc.asyncProperty(fc.array(item, { minLength: 1, maxLength: 20 }), async (items) => {
    for (const [i, { payload, connection, mark }] of items.entries()) {
      if (mark) tape.appender.mark(connection, AT + i, 'open', { i, text: payload.toString('latin1') })
      else tape.appender.append(connection, AT + i, payload)
    }
    await tape.appender.flushed()
    const { records } = await readUntil(live, (all) => all.length >= items.length)
    const disk = tape.follow(end)
    const fromDisk = await readUntil(disk, (all) => all.length >= items.length)
    await disk.close()
    assert.deepEqual(fromDisk.records, records)
    end = fromDisk.batches.at(-1)?.end ?? null
    for (const [i, { payload, connection, mark }] of items.entries()) {
      const record = records[i]
      assert.deepEqual([record?.atUs, record?.connection, record?.kind], [AT + i, connection, mark ? 'mark' : 'frame'])
      if (record?.kind === 'frame') assert.ok(record.payload.equals(withoutFinalNewline(payload)))
      else assert.deepEqual(record?.detail, { i, text: payload.toString('latin1') })
    }
  })
  await fc.assert(property, { numRuns: 100 })
})

test('one frame without its final newline is what a live reader gets too', async (t) => {
  const tape = await open(t, temporaryFolder())
  const follower = tape.follow(null)
  appendAll(tape, ['[]\n', 'x\n', '\n'])
  await tape.appender.flushed()
  const { records } = await readUntil(follower, (all) => all.length === 3)
  assert.deepEqual(payloads(records), ['[]', 'x', ''])
})

test('a reader that is slow falls back to disk, misses nothing and catches up', async (t) => {
  const tape = await open(t, temporaryFolder(), { cacheBytes: 20_000, packBytes: 4096, diskBatchRecords: 50 })
  const follower = tape.follow(null)
  const first = follower.next(never)
  appendAll(tape, numbered(0, 1))
  await tape.appender.flushed()
  assert.equal((await first)?.live, true)
  for (let n = 1; n < 2001; n += 100) {
    appendAll(tape, numbered(n, n + 100))
    await tape.appender.flushed()
  }
  const { records, batches } = await readUntil(follower, (all) => all.length >= 2000)
  assert.deepEqual(payloads(records), numbered(1, 2001))
  assert.ok(batches.some((batch) => !batch.live))
  assert.ok(batches.every((batch) => batch.live || batch.records.length <= 50))
  const next = follower.next(never)
  appendAll(tape, ['{"last":true}'])
  await tape.appender.flushed()
  assert.equal((await next)?.live, true)
})

test('reading goes on from every position of every batch, plain or compressed', async (t) => {
  const directory = temporaryFolder()
  const first = await open(t, directory, { segmentBytes: 3000 })
  for (let n = 0; n < 300; n += 50) {
    appendAll(first, numbered(n, n + 50))
    await first.appender.flushed()
  }
  await first.close()
  const second = await open(t, directory, { diskBatchRecords: 7 })
  appendAll(second, numbered(300, 310))
  await second.appender.flushed()
  const { batches } = await readUntil(second.follow(null), (all) => all.length === 310)
  let taken = 0
  for (const { end, records } of batches) {
    taken += records.length
    assert.deepEqual(await readAll(directory, end), numbered(taken, 310), JSON.stringify(end))
  }
  assert.ok(second.boot > first.boot)
  assert.ok(batches.length > 40)
})

test('beyond its limit the tape refuses, says so, and takes frames again after the sync', async (t) => {
  const tape = await open(t, temporaryFolder(), { pendingBytes: 5000 })
  const frame = Buffer.from(`"${'x'.repeat(934)}"`)
  let taken = 0
  while (tape.appender.append('c', AT, frame)) taken += 1
  assert.equal(taken, 5)
  assert.equal(tape.appender.accepting, false)
  assert.equal(tape.status().framesRefused, 1)
  assert.ok(tape.status().pendingBytes <= 5000)
  await tape.appender.untilAccepting(never)
  assert.equal(tape.appender.append('c', AT, frame), true)
  await tape.appender.flushed()
  assert.deepEqual([tape.status().framesAccepted, tape.status().pendingBytes], [6, 0])
})

test('waiting for the tape ends when the signal aborts', async (t) => {
  const tape = await open(t, temporaryFolder(), { pendingBytes: 1000 })
  while (tape.appender.append('c', AT, Buffer.alloc(500)));
  const stop = new AbortController()
  const waiting = tape.appender.untilAccepting(stop.signal)
  stop.abort()
  await waiting
  assert.equal(tape.appender.accepting, false)
  assert.equal(await tape.follow(null).next(stop.signal), null)
})

test('jq reads the tape', async (t) => {
  const jq = '/usr/bin/jq'
  const directory = temporaryFolder()
  const tape = await open(t, directory)
  const random = seededRandom(7)
  const noise = Array.from({ length: 50 }, () =>
    Buffer.from(Array.from({ length: 40 }, () => Math.floor(random() * 256))),
  )
  appendAll(tape, [...numbered(0, 5), 'PONG', '{"a":"é\\n"}', ...noise])
  tape.appender.mark('c-1', AT, 'close', { code: 1006 })
  await tape.close()
  const root = join(directory, 'polymarket')
  const [segment] = listSegments(root)
  assert.ok(segment)
  try {
    const out = execFileSync(jq, ['-c', '[.conn,.frame.n,.mark]', plainPath(root, segment.name)], { encoding: 'utf8' })
    assert.equal(out.trim().split('\n').length, 58)
    assert.match(out, /\["c-1",4,null\]\n[\s\S]*\["c-1",null,"close"\]\n$/)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') t.skip('jq is not installed')
    else throw error
  }
})

test('closing syncs what was appended, closes the segment and ends the readers', async (t) => {
  const directory = temporaryFolder()
  const tape = await open(t, directory)
  const follower = tape.follow(null)
  // Until it is handed what is accepted: one that still reads the disk is ended wherever it is.
  let lines = 0
  for (let live = false; !live; lines += 1) {
    const reading = follower.next(never)
    appendAll(tape, numbered(lines, lines + 1))
    await tape.appender.flushed()
    live = (await reading)?.live ?? assert.fail('ended')
  }
  const waiting = follower.next(never)
  appendAll(tape, numbered(lines, lines + 3))
  await Promise.all([tape.close(), tape.close()])
  assert.equal((await waiting)?.records.length, 3)
  assert.equal(await follower.next(never), null)
  assert.equal(tape.appender.append('c', AT, Buffer.from('1')), false)
  assert.equal(tape.status().state, 'closed')
  assert.deepEqual(await readAll(directory), numbered(0, lines + 3))
  const { entries } = readManifest(manifestPath(join(directory, 'polymarket')))
  assert.deepEqual(
    [...entries.values()].map((entry) => entry.closed?.lines),
    [lines + 3],
  )
})

test('closing is no alarm, also when its thread is gone before anybody could look', async () => {
  const log = memoryLog()
  for (let round = 0; round < 8; round += 1) {
    const tape = await openTape({
      directory: temporaryFolder(),
      stream: 'polymarket',
      clock: new SimulatedClock(),
      log,
    })
    appendAll(tape, numbered(0, 3))
    const closed = tape.close()
    // A busy main thread finds the last word and the exit of the other one at once.
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60), 0)
    await closed
    assert.equal(tape.status().state, 'closed')
  }
  assert.deepEqual(log.lines, [])
})

test('a position of another tape is read from the start of this one', async (t) => {
  const tape = await open(t, temporaryFolder())
  appendAll(tape, numbered(0, 3))
  await tape.appender.flushed()
  const foreign = { segment: '20300101T000000Z-000900-000001', offset: 500, line: 7 }
  const { records } = await readUntil(tape.follow(foreign), (all) => all.length === 3)
  assert.deepEqual(payloads(records), numbered(0, 3))
})

test('a stream name cannot leave the directory, and a folder that cannot be used is a clear error', async () => {
  const directory = temporaryFolder()
  const options = { directory, clock: new SimulatedClock(), log: memoryLog() }
  await assert.rejects(openTape({ ...options, stream: '../x' }), TypeError)
  await assert.rejects(openTape({ ...options, directory: '/dev/null', stream: 'x' }), {
    name: 'PermanentError',
    exitCode: 73,
  })
})

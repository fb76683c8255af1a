import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '../core/random.ts'
import type { TapePosition } from '../core/tape.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { realDisk } from './disk.ts'
import { manifestPath } from './layout.ts'
import { LineWriter, lineConnection } from './line-writer.ts'
import { Manifest } from './manifest.ts'
import { readTape } from './read-tape.ts'
import { repair } from './repair.ts'
import { type Lines, SegmentWriter } from './segment-writer.ts'
import { openTape } from './tape.ts'
import { createDisk, FAULT, memoryLog, payloads, readUntil, temporaryFolder } from './test-support.ts'
import { verifyTape } from './verify.ts'

const AT = 1_790_000_000_000_000
const never = new AbortController().signal
const NOW = { wallMs: Date.UTC(2026, 8, 30), monotonicMs: 0 }
const ALL_FAULTS = Object.values(FAULT)

function group(from: number, to: number): Lines[] {
  const lines = new LineWriter()
  for (let n = from; n < to; n += 1) lines.frame(AT + n, lineConnection('c'), Buffer.from(`{"n":${n}}`))
  return [{ bytes: Buffer.from(lines.bytes), count: to - from, firstAtUs: AT + from, lastAtUs: AT + to - 1 }]
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `{"n":${from + i}}`)
}

async function readAll(directory: string, from: TapePosition | null = null): Promise<string[]> {
  const found: string[] = []
  for await (const { records } of readTape({ directory, stream: 's', from, until: null, log: memoryLog() })) {
    found.push(...payloads(records))
  }
  return found
}

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`seed ${seed}: whatever fails and however often, each group stands on the tape once`, async () => {
    const random = seededRandom(seed)
    const directory = temporaryFolder()
    const root = join(directory, 's')
    realDisk.makeFolder(root)
    const control = new SharedArrayBuffer(8)
    const faults = new Int32Array(control)
    const disk = createDisk(control)
    const manifest = new Manifest(manifestPath(root), disk)
    const open = { root, boot: 1, disk, manifest, onOpened: () => {}, onClosed: () => {} }
    const writer = new SegmentWriter({ ...open, segmentBytes: 2000, segmentMs: 1e9 })
    let failures = 0
    for (let n = 0; n < 400; n += 10) {
      const lines = group(n, n + 10)
      for (;;) {
        faults[0] = random() < 0.5 ? 0 : ALL_FAULTS.reduce((sum, fault) => (random() < 0.3 ? sum | fault : sum), 0)
        try {
          const [end] = writer.commit(lines, NOW)
          assert.ok(end)
          break
        } catch {
          failures += 1
        }
      }
      // Someone who reads meanwhile sees all of it and nothing twice.
      if (n % 100 === 90) assert.deepEqual(await readAll(directory), numbered(0, n + 10))
    }
    assert.ok(failures > 5, 'the disk never failed')
    // The power goes: nothing is closed.
    faults[0] = 0
    const again = new Manifest(manifestPath(root), realDisk)
    repair(root, realDisk, again, () => {})
    assert.deepEqual(await readAll(directory), numbered(0, 400))
    assert.deepEqual((await verifyTape(directory, 's', () => {})).findings, [])
  })
}

async function openFaulty(t: TestContext) {
  const directory = temporaryFolder()
  const clock = new SimulatedClock()
  const control = new SharedArrayBuffer(8)
  const log = memoryLog()
  const disk = { module: new URL('./test-support.ts', import.meta.url).href, options: control }
  const tape = await openTape({ directory, stream: 's', clock, log, disk })
  t.after(() => tape.close())
  return { directory, clock, log, tape, faults: new Int32Array(control) }
}

for (const [name, fault] of [
  ['a full disk', FAULT.append],
  ['a sync that fails', FAULT.sync],
] as const) {
  test(`${name} stops acceptance, says so, and the same batch is accepted once the disk works`, async (t) => {
    const { directory, clock, log, tape, faults } = await openFaulty(t)
    const follower = tape.follow(null)
    const append = (n: number) => tape.appender.append('c', AT + n, Buffer.from(`{"n":${n}}`))
    append(0)
    await tape.appender.flushed()
    await readUntil(follower, (all) => all.length === 1)
    faults[0] = fault
    const next = follower.next(never)
    append(1)
    append(2)
    await assert.rejects(tape.appender.flushed(), { name: 'TransientError', message: /simulated/ })
    assert.equal(tape.status().state, 'failed')
    assert.match(tape.status().trouble ?? '', /simulated/)
    assert.equal(append(99), false)
    assert.deepEqual([tape.status().framesAccepted, tape.status().framesRefused], [1, 1])
    await assert.rejects(tape.appender.flushed())
    // It is tried again after 1, 2, 4, 8 s.
    for (const seconds of [1, 2, 4]) {
      assert.deepEqual(
        clock
          .pending()
          .map((sleep) => sleep.delayMs)
          .filter((ms) => ms % 1000 === 0 && ms < 60_000),
        [seconds * 1000],
      )
      await clock.advance(seconds * 1000)
      while (!clock.pending().some((sleep) => sleep.delayMs === seconds * 2000)) await clock.settle()
    }
    assert.equal(tape.status().framesAccepted, 1)
    faults[0] = 0
    const accepting = tape.appender.untilAccepting(never)
    await clock.advance(8000)
    await accepting
    assert.equal(tape.status().state, 'ok')
    assert.equal(tape.status().trouble, null)
    assert.deepEqual(payloads((await next)?.records ?? []), ['{"n":1}', '{"n":2}'])
    append(3)
    await tape.appender.flushed()
    await tape.close()
    assert.deepEqual(await readAll(directory), numbered(0, 4))
    assert.deepEqual((await verifyTape(directory, 's', () => {})).findings, [])
    assert.deepEqual(
      log.lines.filter((line) => !line.startsWith('info')),
      [
        `error the tape cannot be written: ${fault === FAULT.append ? 'ENOSPC' : 'EIO'}: simulated`,
        'warn the tape can be written again',
      ],
    )
  })
}

test('closing while the disk fails ends, and says what was not written', async (t) => {
  const { directory, log, tape, faults } = await openFaulty(t)
  tape.appender.append('c', AT, Buffer.from('{"n":0}'))
  await tape.appender.flushed()
  faults[0] = FAULT.append
  tape.appender.append('c', AT, Buffer.from('{"n":1}'))
  await assert.rejects(tape.appender.flushed())
  await tape.close()
  assert.ok(log.lines.some((line) => line.startsWith('error the tape could not be closed properly')))
  const repaired = new Manifest(manifestPath(join(directory, 's')), realDisk)
  repair(join(directory, 's'), realDisk, repaired, () => {})
  assert.deepEqual((await readAll(directory)).slice(0, 1), ['{"n":0}'])
})

test('a full file system: nothing accepted is lost, and recording goes on when there is room', async (t) => {
  const directory = temporaryFolder()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory], { stdio: 'pipe' })
  } catch {
    return t.skip('no right to mount a file system here')
  }
  const clock = new SimulatedClock()
  const tape = await openTape({ directory, stream: 's', clock, log: memoryLog() })
  try {
    const ballast = join(directory, 'ballast')
    execFileSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=1024', 'count=1024'], { stdio: 'pipe' })
    const frame = Buffer.from(JSON.stringify({ fill: 'x'.repeat(2000) }))
    let taken = 0
    while (tape.status().state === 'ok') {
      for (let i = 0; i < 50; i += 1) if (tape.appender.append('c', AT, frame)) taken += 1
      await tape.appender.flushed().catch(() => {})
    }
    const accepted = tape.status().framesAccepted
    assert.match(tape.status().trouble ?? '', /ENOSPC/)
    assert.ok(accepted < taken)
    assert.equal((await readAll(directory)).length, accepted)
    execFileSync('rm', [ballast])
    const accepting = tape.appender.untilAccepting(never)
    await clock.advance(1000)
    await accepting
    await tape.appender.flushed()
    assert.equal(tape.status().framesAccepted, taken)
    await tape.close()
    assert.equal((await readAll(directory)).length, taken)
    assert.deepEqual((await verifyTape(directory, 's', () => {})).findings, [])
  } finally {
    await tape.close()
    execFileSync('umount', [directory], { stdio: 'pipe' })
  }
})

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { PermanentError } from '../src/core/errors.ts'
import { SimulatedClock } from '../src/sim/clock.ts'
import type { TapeLimits } from '../src/tape/limits.ts'
import { readTape } from '../src/tape/read-tape.ts'
import { openTape, type Tape } from '../src/tape/tape.ts'
import { memoryLog, payloads, readUntil, temporaryFolder } from '../src/tape/test-support.ts'
import { verifyTape } from '../src/tape/verify.ts'
import { DEATH } from './support/mortal-disk.ts'

const AT = 1_790_000_000_000_000
const never = new AbortController().signal

async function openMortal(t: TestContext, limits: Partial<TapeLimits> = {}) {
  const directory = temporaryFolder()
  const clock = new SimulatedClock()
  const control = new SharedArrayBuffer(8)
  const log = memoryLog()
  const deaths: PermanentError[] = []
  const disk = { module: new URL('./support/mortal-disk.ts', import.meta.url).href, options: control }
  const onDeath = (error: PermanentError) => deaths.push(error)
  const tape = await openTape({ directory, stream: 's', clock, log, disk, limits, onDeath })
  t.after(() => tape.close())
  return { directory, clock, log, tape, deaths, faults: new Int32Array(control) }
}

function append(tape: Tape, from: number, to: number): void {
  for (let n = from; n < to; n += 1) assert.ok(tape.appender.append('c', AT + n, Buffer.from(`{"n":${n}}`)))
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `{"n":${from + i}}`)
}

async function readAll(directory: string): Promise<string[]> {
  const found: string[] = []
  for await (const { records } of readTape({ directory, stream: 's', from: null, until: null, log: memoryLog() })) {
    found.push(...payloads(records))
  }
  return found
}

for (const [when, death] of [
  ['in the middle of a write', DEATH.append],
  ['after a sync, before it could say so', DEATH.sync],
] as const) {
  test(`a thread that dies ${when}: another goes on, nothing is lost and nothing is there twice`, async (t) => {
    const { directory, tape, log, deaths, faults } = await openMortal(t)
    const follower = tape.follow(null)
    append(tape, 0, 3)
    await tape.appender.flushed()
    await readUntil(follower, (all) => all.length === 3)
    faults[0] = death
    const next = follower.next(never)
    append(tape, 3, 6)
    assert.ok(tape.appender.mark('c', AT + 6, 'close', { code: 1006 }))
    await assert.rejects(tape.appender.flushed(), /its thread is gone/)
    assert.equal(tape.status().state, 'failed')
    assert.equal(tape.appender.append('c', AT, Buffer.from('{}')), false, 'nothing is taken meanwhile')
    await tape.appender.untilAccepting(never)
    assert.deepEqual([tape.status().state, tape.status().trouble], ['ok', null])
    await tape.appender.flushed()
    assert.deepEqual(payloads((await next)?.records ?? []), numbered(3, 6), 'the reader that was live misses nothing')
    append(tape, 6, 9)
    await tape.appender.flushed()
    assert.equal(tape.status().framesAccepted, 9)
    await tape.close()
    assert.deepEqual(await readAll(directory), numbered(0, 9))
    assert.deepEqual((await verifyTape(directory, 's', () => {})).findings, [])
    assert.deepEqual(deaths, [])
    const loud = log.lines.filter((line) => !line.startsWith('info'))
    assert.deepEqual(loud, [
      "error the tape's thread is gone and started again: it ended",
      'warn the tape is written by a new thread',
    ])
  })
}

test('a thread that dies before anything was ever accepted', async (t) => {
  const { directory, tape, faults } = await openMortal(t)
  faults[0] = DEATH.sync
  append(tape, 0, 2)
  await assert.rejects(tape.appender.flushed())
  await tape.appender.untilAccepting(never)
  await tape.appender.flushed()
  await tape.close()
  assert.deepEqual(await readAll(directory), numbered(0, 2))
})

test('closing while another thread is being started writes what the dead one had not', async (t) => {
  const { directory, tape, faults } = await openMortal(t)
  faults[0] = DEATH.append
  append(tape, 0, 2)
  await assert.rejects(tape.appender.flushed())
  await tape.close()
  assert.deepEqual(await readAll(directory), numbered(0, 2))
})

test('one that dies again and again is given up, and whoever owns the tape is told with exit code 70', async (t) => {
  const { tape, log, deaths, faults } = await openMortal(t)
  for (let round = 0; round < 3; round += 1) {
    faults[0] = DEATH.append
    append(tape, round, round + 1)
    await assert.rejects(tape.appender.flushed())
    await tape.appender.untilAccepting(never)
    await tape.appender.flushed()
  }
  faults[0] = DEATH.append
  append(tape, 3, 4)
  await assert.rejects(tape.appender.flushed())
  assert.deepEqual(
    deaths.map(({ exitCode }) => exitCode),
    [70],
  )
  assert.equal(tape.status().state, 'failed')
  assert.equal(tape.status().framesAccepted, 3)
  assert.ok(log.lines.some((line) => line.startsWith("fatal the tape's thread is gone (it ended)")))
})

test('what memory does not keep cannot be written again: the tape is given up', async (t) => {
  const { tape, deaths, faults } = await openMortal(t, { cacheBytes: 100 })
  faults[0] = DEATH.append
  append(tape, 0, 10)
  await assert.rejects(tape.appender.flushed())
  assert.match(deaths[0]?.message ?? '', /more than memory keeps/)
})

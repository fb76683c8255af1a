import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { seededRandom } from '../core/random.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { realDisk } from './disk.ts'
import { compressedPath, isMissing, listSegments, manifestPath, plainPath } from './layout.ts'
import { Manifest } from './manifest.ts'
import { readTape } from './read-tape.ts'
import { repair } from './repair.ts'
import { openTape } from './tape.ts'
import { memoryLog, payloads, readUntil, temporaryFolder } from './test-support.ts'
import { verifyTape } from './verify.ts'

const AT = 1_790_000_000_000_000

/** Writes `{"n":…}` from a number on, in batches of growing size, and prints how many have been accepted. */
const WRITER = `
import { openTape } from ${JSON.stringify(new URL('./tape.ts', import.meta.url).href)}
import { systemClock } from ${JSON.stringify(new URL('../runtime/system-clock.ts', import.meta.url).href)}
const [directory, from] = process.argv.slice(-2)
const log = { debug() {}, info() {}, warn() {}, error() {}, fatal() {} }
const limits = { segmentBytes: 20_000, packBytes: 2000 }
const tape = await openTape({ directory, stream: 's', clock: systemClock(), log, limits })
let n = Number(from)
for (let size = 1; ; size = (size * 7) % 101) {
  for (let i = 0; i < size; i += 1, n += 1) tape.appender.append('c', ${AT} + n, Buffer.from(JSON.stringify({ n })))
  await tape.appender.flushed()
  process.stdout.write(n + '\\n')
}
`

/** Starts the writer, kills it once it has reported `count` batches, and returns the last count it reported. */
async function writeAndKill(directory: string, from: number, count: number): Promise<number> {
  const args = ['--import', 'tsx', '--input-type=module', '-e', WRITER, directory, String(from)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let accepted = from
  let batches = 0
  for await (const line of createInterface({ input: child.stdout })) {
    accepted = Number(line)
    batches += 1
    if (batches === count) child.kill('SIGKILL')
  }
  const [code, signal] = await exited
  assert.deepEqual([code, signal], [null, 'SIGKILL'])
  return accepted
}

async function readAll(directory: string): Promise<string[]> {
  const found: string[] = []
  for await (const { records, damagedLines } of readTape({
    directory,
    stream: 's',
    from: null,
    until: null,
    log: memoryLog(),
  })) {
    found.push(...payloads(records))
    assert.equal(damagedLines, 0)
  }
  return found
}

function assertWhole(found: readonly string[], accepted: number): void {
  assert.deepEqual(
    found,
    Array.from(found, (_, n) => `{"n":${n}}`),
  )
  assert.ok(found.length >= accepted, `${found.length} readable, ${accepted} accepted`)
}

test('kill -9 at any moment: everything accepted is readable exactly once', async () => {
  const directory = temporaryFolder()
  const random = seededRandom(11)
  let written = 0
  for (let round = 0; round < 4; round += 1) {
    const accepted = await writeAndKill(directory, written, 5 + Math.floor(random() * 120))
    // Before the repair, as a reader sees it, and after.
    assertWhole(await readAll(directory), accepted)
    const tape = await openTape({ directory, stream: 's', clock: new SimulatedClock(), log: memoryLog() })
    const { records } = await readUntil(tape.follow(null), (all) => all.length >= accepted)
    assertWhole(payloads(records), accepted)
    await tape.close()
    const found = await readAll(directory)
    assertWhole(found, accepted)
    written = found.length
    assert.deepEqual((await verifyTape(directory, 's', () => {})).findings, [])
  }
  assert.ok(written > 500)
})

/** The manifest first and then the segments, as they stand at one moment after the other. */
function copyTape(from: string, to: string): void {
  const copy = (path: string) => {
    const target = join(to, relative(from, path))
    mkdirSync(dirname(target), { recursive: true })
    try {
      copyFileSync(path, target)
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }
  copy(manifestPath(from))
  for (const { name } of listSegments(from)) if (!copy(plainPath(from, name))) copy(compressedPath(from, name))
}

test('a copy taken at any moment holds everything that was accepted before', async (t) => {
  const directory = temporaryFolder()
  const random = seededRandom(5)
  const limits = { segmentBytes: 5000, packBytes: 1500 }
  const tape = await openTape({ directory, stream: 's', clock: new SimulatedClock(), log: memoryLog(), limits })
  t.after(() => tape.close())
  let n = 0
  for (let round = 0; round < 40; round += 1) {
    for (let i = 0; i < 1 + random() * 60; i += 1, n += 1) tape.appender.append('c', AT + n, Buffer.from(`{"n":${n}}`))
    const flushed = tape.appender.flushed()
    for (let turns = random() * 6; turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve))
    const accepted = tape.status().framesAccepted
    const copy = temporaryFolder()
    copyTape(join(directory, 's'), join(copy, 's'))
    repair(join(copy, 's'), realDisk, new Manifest(manifestPath(join(copy, 's')), realDisk), () => {})
    assertWhole(await readAll(copy), accepted)
    if (random() < 0.7) await flushed
  }
})

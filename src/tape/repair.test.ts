import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { realDisk } from './disk.ts'
import {
  bootPath,
  compressedPath,
  listSegments,
  manifestPath,
  plainPath,
  segmentFolder,
  segmentName,
} from './layout.ts'
import { LineWriter, lineConnection } from './line-writer.ts'
import { Manifest, readManifest } from './manifest.ts'
import { readTape } from './read-tape.ts'
import { nextBoot, repair } from './repair.ts'
import { memoryLog, payloads, temporaryFolder } from './test-support.ts'
import { verifyTape } from './verify.ts'

const WALL_MS = Date.UTC(2026, 8, 30, 12)
const quiet = () => {}

function lines(from: number, to: number): Buffer {
  const writer = new LineWriter()
  for (let n = from; n < to; n += 1)
    writer.frame(1_790_000_000_000_000 + n, lineConnection('c'), Buffer.from(`{"n":${n}}`))
  return Buffer.from(writer.bytes)
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `{"n":${from + i}}`)
}

function newStream(): { directory: string; root: string; name: string; path: string } {
  const directory = temporaryFolder()
  const root = join(directory, 's')
  const name = segmentName(WALL_MS, 1, 1)
  mkdirSync(segmentFolder(root, name), { recursive: true })
  return { directory, root, name, path: plainPath(root, name) }
}

function repaired(root: string) {
  const manifest = new Manifest(manifestPath(root), realDisk)
  return { manifest, ...repair(root, realDisk, manifest, quiet) }
}

async function readAll(directory: string): Promise<string[]> {
  const found: string[] = []
  for await (const { records } of readTape({ directory, stream: 's', from: null, until: null, log: memoryLog() })) {
    found.push(...payloads(records))
  }
  return found
}

test('a tail torn at any byte of the last lines is cut to the last complete line', async () => {
  const whole = lines(0, 6)
  const { directory, root, name, path } = newStream()
  const start = lines(0, 3).length
  for (let end = start; end <= whole.length; end += 1) {
    rmSync(manifestPath(root), { force: true })
    writeFileSync(path, whole.subarray(0, end))
    const complete = whole.subarray(0, end).lastIndexOf('\n') + 1
    const { segments, damagedLines } = repaired(root)
    const expected = readFileSync(path).toString().split('\n').length - 1
    assert.equal(statSync(path).size, complete, `cut at ${end}`)
    assert.equal(damagedLines, end === complete ? 0 : 1)
    assert.deepEqual([segments[0]?.name, segments[0]?.bytes, segments[0]?.lines], [name, complete, expected])
    assert.deepEqual(await readAll(directory), numbered(0, expected))
  }
})

test('blocks of zeros after the last line, or in lines at the end, are cut', () => {
  const { root, path } = newStream()
  const good = lines(0, 3)
  const holed = Buffer.concat([good, lines(3, 4).fill(0, 20, 40), Buffer.alloc(4096)])
  writeFileSync(path, holed)
  const { segments, damagedLines, manifest } = repaired(root)
  assert.equal(statSync(path).size, good.length)
  assert.deepEqual([segments[0]?.lines, damagedLines], [3, 2])
  const closed = [...manifest.entries.values()][0]?.closed
  assert.deepEqual(closed?.repaired, { cut_bytes: holed.length - good.length, damaged_lines: 0 })
})

test('a damaged line in the middle stays, is skipped by readers and is known to verify', async () => {
  const { directory, root, path } = newStream()
  const bytes = lines(0, 5)
  const third = lines(0, 2).length
  bytes[third + 62] = (bytes[third + 62] as number) ^ 1
  const holedFirst = Buffer.concat([lines(9, 10).fill(0, 30, 34), bytes])
  writeFileSync(path, holedFirst)
  const { damagedLines } = repaired(root)
  assert.equal(damagedLines, 2)
  assert.ok(readFileSync(path).equals(holedFirst))
  assert.deepEqual(await readAll(directory), ['{"n":0}', '{"n":1}', '{"n":3}', '{"n":4}'])
  assert.deepEqual((await verifyTape(directory, 's', quiet)).findings, [])
})

test('a second repair changes nothing', () => {
  const { root, path } = newStream()
  writeFileSync(path, lines(0, 4).subarray(0, -3))
  repaired(root)
  const before = [readFileSync(path), readFileSync(manifestPath(root))]
  const { damagedLines } = repaired(root)
  assert.equal(damagedLines, 0)
  assert.deepEqual([readFileSync(path), readFileSync(manifestPath(root))], before)
})

test('an empty or wholly torn segment goes', () => {
  const { root, path } = newStream()
  for (const content of [Buffer.alloc(0), Buffer.alloc(512), lines(0, 1).subarray(0, 10)]) {
    writeFileSync(path, content)
    assert.deepEqual(repaired(root).segments, [])
    assert.deepEqual(listSegments(root), [])
  }
})

test('an interrupted compression is undone or finished', async (t) => {
  const content = lines(0, 4)
  await t.test('a temporary file is removed', () => {
    const { root, name, path } = newStream()
    writeFileSync(path, content)
    writeFileSync(`${compressedPath(root, name)}.tmp`, 'half')
    repaired(root)
    assert.throws(() => statSync(`${compressedPath(root, name)}.tmp`), { code: 'ENOENT' })
  })
  await t.test('both files, not yet in the manifest: the plain one counts', () => {
    const { root, name, path } = newStream()
    writeFileSync(path, content)
    writeFileSync(compressedPath(root, name), gzipSync(content))
    assert.equal(repaired(root).segments[0]?.compressed, false)
    assert.deepEqual(
      listSegments(root).map(({ plain, compressed }) => [plain, compressed]),
      [[true, false]],
    )
  })
  await t.test('both files, in the manifest: the compressed one counts', async () => {
    const { directory, root, name, path } = newStream()
    writeFileSync(path, content)
    const { manifest } = repaired(root)
    writeFileSync(compressedPath(root, name), gzipSync(content))
    const sha256 = manifest.entries.get(name)?.closed?.sha256 ?? ''
    manifest.append({ event: 'compressed', segment: name, sha256, gz_sha256: 'x', gz_bytes: 1 })
    assert.equal(repaired(root).segments[0]?.compressed, true)
    assert.deepEqual(
      listSegments(root).map(({ plain, compressed }) => [plain, compressed]),
      [[false, true]],
    )
    assert.deepEqual(await readAll(directory), numbered(0, 4))
  })
  await t.test('only the compressed file and no manifest: it is listed again', async () => {
    const { directory, root, name } = newStream()
    writeFileSync(compressedPath(root, name), gzipSync(content))
    assert.deepEqual(
      repaired(root).segments.map((segment) => [segment.lines, segment.compressed]),
      [[4, true]],
    )
    assert.deepEqual((await verifyTape(directory, 's', quiet)).findings, [])
  })
})

test('a file longer than the manifest says is cut: what follows was never accepted', async () => {
  const { directory, root, path } = newStream()
  writeFileSync(path, lines(0, 4))
  repaired(root)
  appendFileSync(path, lines(4, 6))
  assert.deepEqual(await readAll(directory), numbered(0, 4))
  repaired(root)
  assert.equal(statSync(path).size, lines(0, 4).length)
})

test('a segment marked as deleted is removed at the next start', () => {
  const { root, name, path } = newStream()
  writeFileSync(path, lines(0, 4))
  repaired(root).manifest.append({ event: 'deleted', segment: name, reason: 'age' })
  assert.deepEqual(repaired(root).segments, [])
  assert.deepEqual(listSegments(root), [])
})

test('the torn last line of the manifest is replaced, and the chain holds', async () => {
  const { directory, root, name, path } = newStream()
  writeFileSync(path, lines(0, 4))
  repaired(root)
  appendFileSync(manifestPath(root), '{"event":"comp')
  const second = segmentName(WALL_MS, 1, 2)
  writeFileSync(plainPath(root, second), lines(4, 6))
  repaired(root)
  const { entries, faults } = readManifest(manifestPath(root))
  assert.deepEqual([[...entries.keys()], faults], [[name, second], []])
  assert.deepEqual((await verifyTape(directory, 's', quiet)).findings, [])
})

test('the boot number always grows, also when its file is lost or spoilt', () => {
  const { root, path } = newStream()
  writeFileSync(path, lines(0, 1))
  const { manifest } = repaired(root)
  assert.equal(nextBoot(root, realDisk, manifest), 2)
  assert.equal(nextBoot(root, realDisk, manifest), 3)
  writeFileSync(bootPath(root), 'rubbish')
  assert.equal(nextBoot(root, realDisk, manifest), 2)
  rmSync(bootPath(root))
  rmSync(path)
  assert.equal(nextBoot(root, realDisk, manifest), 2)
})

test('segments are ordered by boot and number, whatever the clock said', () => {
  const { root } = newStream()
  const names = [
    segmentName(WALL_MS, 1, 2),
    segmentName(WALL_MS - 9e8, 2, 1),
    segmentName(WALL_MS - 5e8, 2, 2),
    segmentName(0, 10, 1),
  ]
  for (const name of names.toReversed()) {
    mkdirSync(segmentFolder(root, name), { recursive: true })
    writeFileSync(plainPath(root, name), '')
  }
  assert.deepEqual(
    listSegments(root).map((segment) => segment.name),
    names,
  )
})

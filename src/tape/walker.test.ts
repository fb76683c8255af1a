import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Catalogue } from './catalogue.ts'
import { plainPath, segmentFolder, segmentName } from './layout.ts'
import { LineWriter, lineConnection } from './line-writer.ts'
import { memoryLog, payloads, temporaryFolder } from './test-support.ts'
import { TapeWalker } from './walker.ts'

const FIRST = segmentName(Date.UTC(2026, 8, 30), 1, 1)
const SECOND = segmentName(Date.UTC(2026, 8, 30), 1, 2)

function lines(from: number, to: number): Buffer {
  const writer = new LineWriter()
  for (let n = from; n < to; n += 1) writer.frame(n, lineConnection('c'), Buffer.from(`${n}`))
  return Buffer.from(writer.bytes)
}

function write(root: string, name: string, bytes: Buffer): void {
  mkdirSync(segmentFolder(root, name), { recursive: true })
  writeFileSync(plainPath(root, name), bytes)
}

async function walk(root: string, catalogue: Catalogue): Promise<{ found: string[]; damaged: number }> {
  const limits = { records: 100, bytes: 1 << 20 }
  const walker = new TapeWalker({ root, catalogue, limits, log: memoryLog(), onDamaged: () => {} }, null)
  const found: string[] = []
  let damaged = 0
  for (let batch = await walker.next(); batch !== null; batch = await walker.next()) {
    found.push(...payloads(batch.records))
    damaged += batch.damagedLines
  }
  damaged += walker.takeDamagedLines()
  await walker.close()
  return { found, damaged }
}

test('what a segment was given just before the next one began is not passed over', async () => {
  const root = temporaryFolder()
  write(root, FIRST, lines(0, 4))
  write(root, SECOND, lines(4, 6))
  const end = { [FIRST]: lines(0, 2).length, [SECOND]: lines(4, 6).length }
  const found = await walk(root, {
    after(name) {
      // Between the reader's last look and this one, two lines were accepted and the next segment was begun.
      if (name === FIRST) end[FIRST] = lines(0, 4).length
      return name === null ? FIRST : name === FIRST ? SECOND : null
    },
    before: () => null,
    endOf: (name) => end[name] ?? null,
    knows: () => true,
  })
  assert.deepEqual(found, { found: ['0', '1', '2', '3', '4', '5'], damaged: 0 })
})

test('a missing file and a file that is too short are passed over and counted', async () => {
  const root = temporaryFolder()
  const third = segmentName(Date.UTC(2026, 8, 30), 1, 3)
  write(root, SECOND, lines(4, 6))
  write(root, third, lines(6, 8))
  const order = [FIRST, SECOND, third]
  const found = await walk(root, {
    after: (name) => order[name === null ? 0 : order.indexOf(name) + 1] ?? null,
    before: () => null,
    endOf: (name) => (name === SECOND ? 5000 : lines(6, 8).length),
    knows: () => true,
  })
  assert.deepEqual(found, { found: ['4', '5', '6', '7'], damaged: 2 })
})

import assert from 'node:assert/strict'
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'

type Undo = () => Promise<void>

/** The files of a stream's segments, in the order of the stream. */
export async function segmentFiles(dataDir: string, stream = 'polymarket.trades'): Promise<string[]> {
  const root = join(dataDir, 'tape', stream)
  const days = (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory())
  const names = await Promise.all(
    days.map(async ({ name }) => (await readdir(join(root, name))).map((file) => join(root, name, file))),
  )
  const orderOf = (path: string) => path.replace(/^.*Z-/, '')
  return names.flat().sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
}

export function manifestFile(dataDir: string, stream = 'polymarket.trades'): string {
  return join(dataDir, 'tape', stream, 'manifest.ndjson')
}

/** Changes a file's bytes and returns the way back. */
export async function damageBytes(path: string, change: (bytes: Buffer) => Buffer): Promise<Undo> {
  const bytes = await readFile(path)
  const damaged = change(Buffer.from(bytes))
  assert.ok(!damaged.equals(bytes), 'the damage was done')
  await writeFile(path, damaged)
  return () => writeFile(path, bytes)
}

/** Changes the lines of a file; one that is compressed is compressed again, as somebody with a purpose would. */
export function damageLines(path: string, change: (lines: string[]) => void): Promise<Undo> {
  const isCompressed = path.endsWith('.gz')
  return damageBytes(path, (bytes) => {
    const lines = (isCompressed ? gunzipSync(bytes) : bytes).toString('utf8').split('\n')
    change(lines)
    const text = Buffer.from(lines.join('\n'))
    return isCompressed ? gzipSync(text) : text
  })
}

export async function hideFile(path: string): Promise<Undo> {
  await rename(path, `${path}.hidden`)
  return () => rename(`${path}.hidden`, path)
}

export async function swapFiles(a: string, b: string): Promise<Undo> {
  const swap = async () => {
    await rename(a, `${a}.swapped`)
    await rename(b, a)
    await rename(`${a}.swapped`, b)
  }
  await swap()
  return swap
}

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { checkFile, checkSources, findCycles, IMPORT_TABLE, isSource, roomOf, TOP_LEVEL_FOLDERS } from './tidy/rules.ts'
import type { SourceFile } from './tidy/scan.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Made by tools, not by people. */
const NOT_OURS = new Set(['.git', 'node_modules', 'dist', 'data', 'artifacts', '.tapekeeper', 'demo-data'])

function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? listFiles(path) : [relative(ROOT, path).split(sep).join('/')]
  })
}

const paths = TOP_LEVEL_FOLDERS.flatMap((folder) => {
  try {
    return listFiles(join(ROOT, folder))
  } catch {
    return [] // a folder that is not there yet
  }
})
const files: SourceFile[] = paths
  .filter((path) => /\.(?:[cm]?[tj]sx?)$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))

describe('the house is tidy', () => {
  test('there is something to look at', () => {
    assert.ok(files.filter((file) => isSource(file.path)).length > 10)
  })
  test('imports, sizes and bans', () => {
    assert.deepEqual(files.flatMap(checkFile), [])
  })
  test('no cycles between files', () => {
    assert.deepEqual(findCycles(files.filter((file) => isSource(file.path))), [])
  })
  test('every source has its README and tests', () => {
    assert.deepEqual(checkSources(paths), [])
  })
  test('migrations are numbered without holes and without twins', () => {
    const names = readdirSync(join(ROOT, 'src/ledger/sql')).sort()
    assert.deepEqual(
      names.map((name) => Number(name.slice(0, 6))),
      names.map((_, index) => index + 1),
      'two that were written at the same time: the later one takes the next number',
    )
  })
  test('every folder has a place in the design', () => {
    const rooms = new Set(paths.flatMap((path) => (path.startsWith('src/') ? [roomOf(path)] : [])))
    assert.deepEqual(
      [...rooms].filter((room) => room === null || !(room in IMPORT_TABLE)),
      [],
    )
    const folders = readdirSync(ROOT, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    const strangers = folders.map((entry) => entry.name).filter((name) => !NOT_OURS.has(name))
    assert.deepEqual(
      strangers.filter((name) => !TOP_LEVEL_FOLDERS.includes(name)),
      [],
    )
  })
})

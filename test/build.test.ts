import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } = fs

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MAIN = `export async function main(argv: readonly string[]): Promise<void> {
  process.stdout.write(JSON.stringify(argv))
}
`

/** A small checkout of its own: the real launcher and builder around a program of one file. */
describe('the launcher builds what it runs', () => {
  let root = ''

  before(() => {
    root = mkdtempSync(join(tmpdir(), 'tapekeeper-build-'))
    for (const name of ['bin', 'tsconfig.json', 'tsconfig.build.json', 'package.json']) {
      cpSync(join(ROOT, name), join(root, name), { recursive: true })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
    mkdirSync(join(root, 'src', 'cli'), { recursive: true })
    mkdirSync(join(root, 'src', 'ledger', 'sql'), { recursive: true })
    writeFileSync(join(root, 'src', 'ledger', 'sql', '001.sql'), 'SELECT 1')
  })
  after(() => rmSync(root, { recursive: true, force: true }))
  beforeEach(() => {
    rmSync(join(root, 'dist'), { recursive: true, force: true })
    writeFileSync(join(root, 'src', 'cli', 'main.ts'), MAIN)
  })

  const launch = (...args: string[]) => launchIn(root, ...args)

  async function launchIn(folder: string, ...args: string[]) {
    const child = spawn(process.execPath, [join(folder, 'bin', 'tapekeeper.js'), ...args])
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const [code] = (await once(child, 'close')) as [number]
    return { code, stdout, stderr }
  }

  test('the first run builds and says so, the second does not', async () => {
    const first = await launch('a', '--b')
    assert.deepEqual([first.code, first.stdout], [0, '["a","--b"]'])
    assert.match(first.stderr, /^tapekeeper: built in [\d.]+ s\n$/)
    assert.equal(readFileSync(join(root, 'dist', 'ledger', 'sql', '001.sql'), 'utf8'), 'SELECT 1')
    assert.deepEqual(await launch('a'), { code: 0, stdout: '["a"]', stderr: '' })
  })

  test('a changed and a removed file are noticed', async () => {
    await launch()
    writeFileSync(join(root, 'src', 'extra.ts'), 'export const extra = 1\n')
    assert.match((await launch()).stderr, /built/)
    assert.ok(existsSync(join(root, 'dist', 'extra.js')))
    rmSync(join(root, 'src', 'extra.ts'))
    assert.match((await launch()).stderr, /built/)
    assert.ok(!existsSync(join(root, 'dist', 'extra.js')))
  })

  test('a copied tree is as built as the original', async () => {
    await launch()
    const copy = mkdtempSync(join(tmpdir(), 'tapekeeper-build-copy-'))
    try {
      // Other paths and other times, as a checkout copied into an image has them.
      cpSync(root, copy, { recursive: true, preserveTimestamps: false, verbatimSymlinks: true })
      assert.deepEqual(await launchIn(copy, 'a'), { code: 0, stdout: '["a"]', stderr: '' })
      const main = join(copy, 'src', 'cli', 'main.ts')
      const { atime, mtime } = fs.statSync(main)
      writeFileSync(main, MAIN.replace('argv)', 'ARGV)').replace('(argv:', '(ARGV:'))
      fs.utimesSync(main, atime, mtime)
      assert.match((await launchIn(copy)).stderr, /built/, 'the same size and time, another content')
    } finally {
      rmSync(copy, { recursive: true, force: true })
    }
  })

  test('several at once: one builds, all run', async () => {
    const all = await Promise.all([launch('1'), launch('2'), launch('3')])
    assert.deepEqual(
      all.map(({ code, stdout }) => [code, stdout]),
      [
        [0, '["1"]'],
        [0, '["2"]'],
        [0, '["3"]'],
      ],
    )
    assert.equal(all.filter(({ stderr }) => stderr !== '').length, 1)
  })

  test('a lock that a killed build left behind is taken over', async () => {
    const gone = spawn(process.execPath, ['--eval', ''])
    await once(gone, 'close')
    mkdirSync(join(root, '.tapekeeper'), { recursive: true })
    writeFileSync(join(root, '.tapekeeper', 'build.lock'), String(gone.pid))
    assert.equal((await launch()).code, 0)
    assert.ok(!existsSync(join(root, '.tapekeeper', 'build.lock')))
  })

  test('what does not compile is shown, and what was built before stays', async () => {
    await launch()
    writeFileSync(join(root, 'src', 'cli', 'main.ts'), `${MAIN}const a: number = 'text'\nvoid a\n`)
    const broken = await launch()
    assert.equal(broken.code, 70)
    assert.match(broken.stderr, /src\/cli\/main\.ts/)
    assert.ok(existsSync(join(root, 'dist', 'cli', 'main.js')))
  })
})

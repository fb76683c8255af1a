// Compiles src/ to dist/: when asked (`npm run build`) and, in a checkout, whenever dist/ is missing or out of date.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const DIST = join(ROOT, 'dist')
const WORK = join(ROOT, '.tapekeeper')
const LOCK = join(WORK, 'build.lock')
const STAMP = 'build-stamp.txt'
const COMPILER = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
const LOCK_AGE_MS_MAX = 120_000
const LOCK_POLL_MS = 100

/** Builds when dist/ does not match src/. Returns false when there is nothing to build from (an installed package). */
export function buildIfStale({ log = console.error } = {}) {
  if (!fs.existsSync(join(ROOT, 'src'))) return false
  if (isCurrent()) return true
  if (!fs.existsSync(COMPILER)) {
    throw new Error('dist/ is missing or out of date and typescript is not installed: run `npm ci` first')
  }
  fs.mkdirSync(WORK, { recursive: true })
  const release = acquireLock()
  try {
    // another process may have built while this one waited
    if (!isCurrent()) build(log)
  } finally {
    release()
  }
  return true
}

function build(log) {
  const startedMs = Date.now()
  const stamp = fingerprint()
  const staging = join(WORK, `build-${process.pid}`)
  const old = join(WORK, `old-${process.pid}`)
  try {
    const compiled = spawnSync(
      process.execPath,
      [COMPILER, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', staging, '--noEmitOnError'],
      { cwd: ROOT, encoding: 'utf8' },
    )
    if (compiled.status !== 0) throw new Error(`the build failed\n${compiled.stdout ?? ''}${compiled.stderr ?? ''}`)
    fs.cpSync(join(ROOT, 'src', 'ledger', 'sql'), join(staging, 'ledger', 'sql'), { recursive: true })
    fs.writeFileSync(join(staging, STAMP), stamp)
    if (fs.existsSync(DIST)) fs.renameSync(DIST, old)
    fs.renameSync(staging, DIST)
  } finally {
    fs.rmSync(staging, { recursive: true, force: true })
    fs.rmSync(old, { recursive: true, force: true })
  }
  log(`tapekeeper: built in ${((Date.now() - startedMs) / 1000).toFixed(1)} s`)
}

function isCurrent() {
  try {
    return fs.readFileSync(join(DIST, STAMP), 'utf8') === fingerprint()
  } catch {
    return false
  }
}

/** Names, sizes and times of everything that a build depends on: a file that was removed counts too. */
function fingerprint() {
  const hash = createHash('sha256')
  const add = (path) => {
    const stat = fs.statSync(path)
    hash.update(`${path} ${stat.size} ${stat.mtimeMs}\n`)
  }
  const walk = (folder) => {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (/\.(ts|sql)$/.test(entry.name) && !entry.name.endsWith('.test.ts')) add(path)
    }
  }
  walk(join(ROOT, 'src'))
  for (const name of ['tsconfig.json', 'tsconfig.build.json', 'package.json']) add(join(ROOT, name))
  return hash.digest('hex')
}

/** Waits for another build to end. A lock whose owner is gone, or that is older than any build, is taken over. */
function acquireLock() {
  for (;;) {
    try {
      fs.writeFileSync(LOCK, String(process.pid), { flag: 'wx' })
      return () => fs.rmSync(LOCK, { force: true })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (isAbandoned()) fs.rmSync(LOCK, { force: true })
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_POLL_MS)
  }
}

function isAbandoned() {
  try {
    if (Date.now() - fs.statSync(LOCK).mtimeMs > LOCK_AGE_MS_MAX) return true
    const owner = Number(fs.readFileSync(LOCK, 'utf8'))
    // an empty file is a lock that is just being written
    return owner > 0 && !isAlive(owner)
  } catch {
    return false
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    buildIfStale()
  } catch (error) {
    console.error(`tapekeeper: ${error.message}`)
    process.exitCode = 70
  }
}

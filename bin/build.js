// Compiles src/ and the page to dist/: when asked (`npm run build`) and, in a checkout, whenever dist/ is missing or
// out of date.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const DIST = join(ROOT, 'dist')
const WORK = join(ROOT, '.tapekeeper')
const LOCK = join(WORK, 'build.lock')
const STAMP = 'build-stamp.txt'
const COMPILER = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
const PAGE_BUILDER = join(ROOT, 'bin', 'build-page.js')
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
  const stamp = stampOf(fingerprint(timesOf))
  const staging = join(WORK, `build-${process.pid}`)
  const old = join(WORK, `old-${process.pid}`)
  try {
    runStep([COMPILER, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', staging, '--noEmitOnError'])
    if (fs.existsSync(join(ROOT, 'dashboard'))) runStep([PAGE_BUILDER, join(staging, 'dashboard')])
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

function runStep(args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the build failed\n${stdout ?? ''}${stderr ?? ''}`)
}

/** Whether dist/ was built from these very sources. Contents decide; equal times only save reading them. */
function isCurrent() {
  const path = join(DIST, STAMP)
  try {
    const stamp = fs.readFileSync(path, 'utf8')
    const times = fingerprint(timesOf)
    if (stamp.endsWith(`\n${times}`)) return true
    const fresh = stampOf(times)
    if (stamp.split('\n')[0] !== fresh.split('\n')[0]) return false
    remember(path, fresh)
    return true
  } catch {
    return false
  }
}

/** Of a copied tree: the next start need not read it again. Where nothing may be written that costs it some 20 ms. */
function remember(path, stamp) {
  const fresh = `${path}.${process.pid}`
  try {
    fs.writeFileSync(fresh, stamp)
    fs.renameSync(fresh, path) // another process may be reading it
  } catch {
    fs.rmSync(fresh, { force: true })
  }
}

/** Times are taken before contents: a file that changes in between is then read again, never believed. */
function stampOf(times) {
  return `${fingerprint(contentOf)}\n${times}`
}

function contentOf(path) {
  return fs.readFileSync(path)
}

/** Where a file is and when anything about it changed; the second time cannot be set back by hand. */
function timesOf(path) {
  const { size, mtimeMs, ctimeMs } = fs.statSync(path)
  return `${path} ${size} ${mtimeMs} ${ctimeMs}`
}

/** Names and one property of everything that a build depends on: a file that was removed counts too. */
function fingerprint(propertyOf) {
  const hash = createHash('sha256')
  const add = (path) => {
    const property = propertyOf(path)
    hash.update(`${relative(ROOT, path).split(sep).join('/')} ${property.length}\n`).update(property)
  }
  const walk = (folder) => {
    const entries = fs.readdirSync(folder, { withFileTypes: true })
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (/\.(tsx?|sql|css|html)$/.test(entry.name) && !/\.test\.tsx?$/.test(entry.name)) add(path)
    }
  }
  walk(join(ROOT, 'src'))
  if (fs.existsSync(join(ROOT, 'dashboard'))) walk(join(ROOT, 'dashboard'))
  const configuration = ['tsconfig.json', 'tsconfig.build.json', 'package.json', join('bin', 'build-page.js')]
  for (const name of configuration) add(join(ROOT, name))
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

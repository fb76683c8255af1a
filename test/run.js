// Runs the tests: `node test/run.js [--acceptance] [--no-build] [pattern …]`. A pattern is a part of a file's path.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { buildIfStale } from '../bin/build.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ACCEPTANCE = join('test', 'acceptance')
/** How tests are compiled: as everything is, and components as Preact wants them. */
const TSX = { TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.tests.json') }
/** Three keep two processors busy: many wait for something. */
const FILES_AT_ONCE = 3
const FILE_TIMEOUT_MS = 120_000
/** So few files start their own servers. */
const FEW_FILES = 10
const NO_SERVERS = { env: {}, end: async () => {} }
/** The proofs start daemons, kill them and feed them for minutes: one at a time. */
const ACCEPTANCE_TIMEOUT_MS = 25 * 60_000

function listTests(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : listTests(path)
    return /\.test\.tsx?$/.test(entry.name) ? [path] : []
  })
}

function chooseTests(acceptance, patterns) {
  return ['src', 'test', 'dashboard']
    .flatMap(listTests)
    .filter((path) => path.startsWith(ACCEPTANCE) === acceptance)
    .filter((path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern)))
    .sort()
}

/** Tests of the command line run what is built; the others need no build and are run even when it fails. */
function build() {
  try {
    buildIfStale()
    return true
  } catch (error) {
    console.error(`tapekeeper: ${error.message}`)
    return false
  }
}

/** Starting PostgreSQL costs seconds, and a third of all files need one: they share one server of each kind. */
async function startServers() {
  const child = spawn(process.execPath, ['--import', 'tsx', join('test', 'servers.ts')], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const end = () => new Promise((resolve) => child.once('exit', resolve).stdin.end())
    return { env: { TEST_POSTGRES_SERVERS: line }, end }
  }
  console.error('tapekeeper: no PostgreSQL servers to share: each file starts its own')
  return NO_SERVERS
}

function run(files, acceptance, env) {
  const options = [
    ...['--import', 'tsx', '--test', '--test-reporter=spec'],
    `--test-concurrency=${acceptance ? 1 : FILES_AT_ONCE}`,
    `--test-timeout=${acceptance ? ACCEPTANCE_TIMEOUT_MS : FILE_TIMEOUT_MS}`,
  ]
  const child = spawn(process.execPath, [...options, ...files], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...TSX, ...env },
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)))
}

const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'))
const patterns = process.argv
  .slice(2)
  .filter((argument) => !argument.startsWith('--'))
  .map((pattern) => relative('.', pattern))
const acceptance = flags.includes('--acceptance')
const unknown = flags.filter((flag) => flag !== '--acceptance' && flag !== '--no-build')
const files = chooseTests(acceptance, patterns)

if (unknown.length > 0 || files.length === 0) {
  console.error(unknown.length > 0 ? `unknown option ${unknown[0]}` : `no test matches ${patterns.join(' ') || 'here'}`)
  process.exitCode = 64
} else {
  const built = flags.includes('--no-build') || build()
  const servers = acceptance || files.length <= FEW_FILES ? NO_SERVERS : await startServers()
  const code = await run(files, acceptance, servers.env)
  await servers.end()
  process.exitCode = code === 0 && !built ? 1 : code
}

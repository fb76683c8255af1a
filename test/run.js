// Runs the tests: `node test/run.js [--acceptance] [--no-build] [pattern …]`. A pattern is a part of a file's path.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildIfStale } from '../bin/build.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ACCEPTANCE = join('test', 'acceptance')
/** How tests are compiled: as everything is, and components as Preact wants them. */
const TSX = { TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.tests.json') }
/** Two fit the smallest machine we know, and the tests that start servers stay within their time. */
const FILES_AT_ONCE = 2
const FILE_TIMEOUT_MS = 120_000
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

function run(files, acceptance) {
  const options = [
    ...['--import', 'tsx', '--test', '--test-reporter=spec'],
    `--test-concurrency=${acceptance ? 1 : FILES_AT_ONCE}`,
    `--test-timeout=${acceptance ? ACCEPTANCE_TIMEOUT_MS : FILE_TIMEOUT_MS}`,
  ]
  const child = spawn(process.execPath, [...options, ...files], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...TSX },
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
  const code = await run(files, acceptance)
  process.exitCode = code === 0 && !built ? 1 : code
}

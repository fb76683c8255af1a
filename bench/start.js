// Compiles src/ and bench/ together and runs the result: a loader that rewrites code on the fly would be measured too.
import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const OUT = join(ROOT, '.tapekeeper', 'bench')
const COMPILER = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')

const run = (args) => spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' }).status ?? 1

rmSync(OUT, { recursive: true, force: true })
const compiled = run([COMPILER, '-p', join(ROOT, 'bench', 'tsconfig.json'), '--noEmitOnError'])
if (compiled !== 0) process.exit(compiled)
cpSync(join(ROOT, 'src', 'ledger', 'sql'), join(OUT, 'src', 'ledger', 'sql'), { recursive: true })
process.exitCode = run(['--enable-source-maps', join(OUT, 'bench', 'run.js'), ...process.argv.slice(2)])

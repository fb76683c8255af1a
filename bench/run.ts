import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureApi } from './api.ts'
import { describeMachine, oneMinuteLoad } from './machine.ts'
import { type Outcome, type Report, renderReport } from './report.ts'
import { measureRows } from './rows.ts'
import type { Settings } from './settings.ts'
import { measureSocket } from './socket.ts'
import { measureStart } from './startup.ts'
import { measureSustained } from './sustain.ts'

const USAGE = `npm run bench -- [options]
  --only N[,N]   only these benchmarks, 1 to 6
  --quick        fewer and shorter rounds
  --seconds N    length of benchmark 4 (30)
  --rounds N     of each side of a ratio (5)
  --json         the report as JSON on stdout
  --profile DIR  CPU profiles of the receiving processes`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      json: { type: 'boolean', default: false },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const wanted = new Set((values.only ?? '1,2,3,4,5,6').split(',').map(Number))
  const folder = mkdtempSync(join(tmpdir(), 'tapekeeper-bench-'))
  const settings: Settings = {
    quick: values.quick,
    rounds: Number(values.rounds ?? (values.quick ? 3 : 5)),
    seconds: Number(values.seconds ?? (values.quick ? 10 : 30)),
    folder,
    nodeOptions: values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`],
    say: (text) => process.stderr.write(`bench: ${text}\n`),
  }
  try {
    const machine = await describeMachine()
    const outcomes = await measure(settings, wanted)
    const { quick } = settings
    const report: Report = { date: new Date().toISOString(), machine, quick, loadAfter: oneMinuteLoad(), outcomes }
    console.log(values.json ? JSON.stringify(report, null, 1) : renderReport(report))
    keep(report, wanted.size === 6 && !quick)
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function measure(settings: Settings, wanted: ReadonlySet<number>): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  if (wanted.has(1) || wanted.has(2)) outcomes.push(...(await measureSocket(settings, wanted)))
  if (wanted.has(3)) outcomes.push(await measureRows(settings))
  if (wanted.has(4)) outcomes.push(await measureSustained(settings))
  if (wanted.has(5)) outcomes.push(await measureStart(settings))
  if (wanted.has(6)) outcomes.push(await measureApi(settings))
  return outcomes
}

/** Whole runs become the figures of the repository; others stay beside them and out of it. */
function keep(report: Report, isWhole: boolean): void {
  const folder = join(process.cwd(), 'bench', 'results')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, isWhole ? 'latest.json' : 'last.local.json'), `${JSON.stringify(report, null, 1)}\n`)
}

await main()

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startVenueProcess } from '../../src/sim/process.ts'
import { Daemon, removeDirectory, signalServer, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { ROOT } from '../support/processes.ts'

/** The commands of one block of the runbook. */
function block(name: string): readonly string[] {
  const text = readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8')
  const found = new RegExp(`^\`\`\`sh ${name}\n([\\s\\S]*?)^\`\`\``, 'm').exec(text)?.[1]
  assert.ok(found, name)
  return found.trim().split('\n')
}

/** What must be the same after a restore: every row up to a time. */
const ROWS: Readonly<Record<string, string>> = {
  trades: "SELECT t::text FROM v_trades t WHERE ts < $1::timestamptz AND origin = 'stream'",
  prices: 'SELECT t::text FROM v_prices t WHERE ts < $1::timestamptz',
  books: 'SELECT t::text FROM v_orderbooks t WHERE ts < $1::timestamptz',
  tokens: 'SELECT token_id || condition_id || outcome AS t FROM tokens WHERE $1::timestamptz IS NOT NULL',
}

test('backup, restore and the way back from the tape alone, to the letter', async (t) => {
  const directory = await temporaryDirectory()
  const [dataDir, backups, bin] = ['tapekeeper', 'backups', 'bin'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  for (const folder of [backups, bin]) mkdirSync(folder)
  writeFileSync(
    join(bin, 'tapekeeper'),
    `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, 'bin/tapekeeper.js')} "$@"\n`,
  )
  chmodSync(join(bin, 'tapekeeper'), 0o755)
  const venue = await startVenueProcess({ markets: 10, rate: 200, seed: 11, tradeShare: 0.3 })
  const environment = venueEnvironment(venue.urls)
  let daemon = await Daemon.start(dataDir, environment)
  t.after(async () => {
    await daemon.end('SIGTERM')
    await signalServer(dataDir, 'SIGQUIT')
    await venue.stop()
    await removeDirectory(directory)
  })

  const follow = async (name: string) => {
    for (const line of block(name)) {
      if (line === 'systemctl stop tapekeeper') assert.equal((await daemon.end('SIGTERM')).code, 0)
      else if (line === 'systemctl start tapekeeper') {
        daemon = await Daemon.start(dataDir, environment)
        // That is when systemd is told READY=1, and `systemctl start` returns.
        await daemon.whenHealth('ready', (body) => (body['ledger'] as { state: string }).state === 'ok')
      } else {
        const command = line.replaceAll('/var/lib/tapekeeper', dataDir).replaceAll('/var/backups', backups)
        const env = { ...daemon.env, PATH: `${bin}:${process.env['PATH']}` }
        const { status, stderr } = spawnSync('bash', ['-c', command], { env, encoding: 'utf8' })
        assert.equal(status, 0, `${command}: ${stderr}`)
      }
    }
    await daemon.whenHealth('healthy', (body) => body.status === 'healthy')
  }
  const rows = async (name: string, until: string) => {
    const found = await daemon.query<{ t: string }>(ROWS[name] ?? '', [until])
    return found.map((row) => row.t).sort()
  }
  const traded = (count: number) =>
    daemon.whenHealth(
      'trades',
      (body) => (body['trade_listener'] as { trades_inserted: number }).trades_inserted >= count,
    )

  await traded(200)
  await venue.control({ drain: true })
  await daemon.whenHealth(
    'all of it is in the ledger',
    (body) => (body['recorder'] as { behind_bytes: number }).behind_bytes === 0,
  )
  await daemon.whenHealth('prices and books', (body) => body.status === 'healthy')
  const until = new Date().toISOString()
  const before = new Map<string, string[]>()
  for (const name of Object.keys(ROWS)) before.set(name, await rows(name, until))
  for (const [name, found] of before) assert.ok(found.length > 10, `${name}: ${found.length}`)

  await follow('backup')
  await venue.control({ resume: true })
  await traded(50)
  await follow('restore')
  for (const [name, expected] of before) assert.deepEqual(await rows(name, until), expected, name)

  spawnSync('rm', ['-rf', `${dataDir}.old`])
  await follow('tape-only')
  assert.deepEqual(await rows('trades', until), before.get('trades'))
})

test('an upgrade builds beside what runs, replaces the old version wholly, and keeps it aside', async (t) => {
  const directory = await temporaryDirectory()
  t.after(() => removeDirectory(directory))
  const [opt, units, bin] = ['opt', 'units', 'bin'].map((name) => join(directory, name)) as [string, string, string]
  for (const folder of [join(opt, 'tapekeeper/src'), units, bin]) mkdirSync(folder, { recursive: true })
  writeFileSync(join(opt, 'tapekeeper/src/removed-since.ts'), '')
  const log = join(directory, 'log')
  // Installing needs a registry: what is installed here is taken.
  const npm = `if [ "$1" = ci ]; then ln -s ${ROOT}/node_modules node_modules; else exec node bin/build.js; fi`
  const stubs = { npm, systemctl: '', tapekeeper: '' }
  for (const [name, script] of Object.entries(stubs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho "${name} $*" >>${log}\n${script}\n`, { mode: 0o755 })
  }
  const run = (command: string, cwd: string) => {
    const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}` }
    const { status, stderr } = spawnSync('bash', ['-c', command], { cwd, env, encoding: 'utf8' })
    assert.equal(status, 0, `${command}: ${stderr}`)
  }
  const leftOut = ['node_modules', 'dist', '.git', 'test'].map((name) => `--exclude=./${name}`).join(' ')
  run(`tar ${leftOut} --transform 's,^[.],tapekeeper,' -czf tapekeeper.tar.gz -C ${ROOT} .`, directory)
  for (const line of block('upgrade')) {
    run(line.replaceAll('/opt', opt).replaceAll('/etc/systemd/system', units), directory)
  }
  assert.deepEqual(
    readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' ').slice(0, 2).join(' ')),
    ['npm ci', 'npm run', 'systemctl stop', 'systemctl daemon-reload', 'systemctl start', 'tapekeeper gaps'],
  )
  assert.ok(!existsSync(join(opt, 'tapekeeper/src/removed-since.ts')))
  assert.ok(existsSync(join(opt, 'tapekeeper.old/src/removed-since.ts')))
  assert.ok(existsSync(join(units, 'tapekeeper.service')))
  run(`node ${opt}/tapekeeper/bin/tapekeeper.js --version`, directory)
})

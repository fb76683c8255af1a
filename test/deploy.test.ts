import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parse } from 'yaml'
import { listKeys } from '../src/config/keys.ts'
import { freePort } from './support/daemon.ts'
import { ROOT, Running, until } from './support/processes.ts'

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const DRAIN_SECONDS = 25

/** Instructions of a Dockerfile, one an entry, continued lines joined. */
function instructions(text: string): { name: string; rest: string }[] {
  return text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ name: line.split(' ')[0] ?? '', rest: line.slice(line.indexOf(' ') + 1).trim() }))
}

describe('the Dockerfile', () => {
  const all = instructions(read('deploy/Dockerfile'))
  const last = all.slice(all.findLastIndex(({ name }) => name === 'FROM'))
  const of = (name: string) => last.filter((one) => one.name === name).map(({ rest }) => rest)
  test('has instructions that there are, two stages, and a last one that is not root', () => {
    const known = 'FROM WORKDIR COPY RUN ENV USER VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD'.split(' ')
    assert.deepEqual(
      all.filter(({ name }) => !known.includes(name)),
      [],
    )
    assert.equal(all.filter(({ name }) => name === 'FROM').length, 2)
    assert.deepEqual(of('USER'), ['node'])
    assert.ok(
      all.every(({ name, rest }) => name !== 'FROM' || /:[\w.-]+( AS build)?$/.test(rest)),
      'pinned',
    )
    assert.ok(last.findIndex(({ name }) => name === 'USER') > last.findLastIndex(({ name }) => name === 'RUN'))
  })
  test('copies what is there, and what the ignore file lets through', () => {
    const ignored = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '')
    const copies = all.filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from'))
    const sources = copies.flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1))
    for (const source of sources) {
      assert.ok(existsSync(join(ROOT, source)), source)
      assert.ok(!ignored.includes(source.split('/')[0] ?? ''), source)
    }
    // Whatever the build reads is there.
    for (const need of ['bin', 'src', 'dashboard', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json']) {
      assert.ok(sources.includes(need), need)
    }
  })
  test('checks health by the program itself, and hands signals on', () => {
    assert.match(
      of('HEALTHCHECK')[0] ?? '',
      /--start-period=\d+s .*CMD \["node", "\/app\/bin\/tapekeeper\.js", "health"\]$/,
    )
    assert.deepEqual(JSON.parse(of('ENTRYPOINT')[0] ?? ''), ['tini', '--', '/bin/sh', '/app/deploy/start.sh'])
    assert.deepEqual(of('VOLUME'), ['/data'])
    assert.match(of('ENV').join(), /TAPEKEEPER_DATA_DIR=\/data TAPEKEEPER_WATCHDOG_ENABLED=true/)
  })
})

interface Service {
  readonly [key: string]: unknown
  readonly environment?: Record<string, string>
}

describe('compose.yaml', () => {
  const compose = parse(read('deploy/compose.yaml'), { merge: true }) as {
    services: Record<string, Service>
    volumes: Record<string, unknown>
  }
  const seconds = (text: unknown) => Number(/^(\d+)s$/.exec(String(text))?.[1])
  test('names keys that compose knows, and volumes that there are', () => {
    const known = new Set(
      `build image depends_on environment env_file ports volumes read_only tmpfs cap_drop security_opt restart
       healthcheck stop_grace_period deploy logging shm_size`.split(/\s+/),
    )
    for (const [name, service] of Object.entries(compose.services)) {
      assert.deepEqual(
        Object.keys(service).filter((key) => !known.has(key)),
        [],
        name,
      )
      for (const volume of service['volumes'] as string[])
        assert.ok((volume.split(':')[0] ?? '') in compose.volumes, volume)
      assert.equal(service['restart'], 'unless-stopped')
      assert.deepEqual(Object.keys((service['logging'] as { options: object }).options), ['max-size', 'max-file'])
      assert.match(JSON.stringify(service['deploy']), /"memory":"\dG"/)
    }
  })
  test('gives the recorder time to drain, and a root file system that cannot be written', () => {
    const recorder = compose.services['tapekeeper'] ?? {}
    assert.ok(seconds(recorder['stop_grace_period']) > DRAIN_SECONDS)
    assert.deepEqual([recorder['read_only'], recorder['cap_drop']], [true, ['ALL']])
    for (const port of recorder['ports'] as string[]) assert.match(port, /^127\.0\.0\.1:/)
  })
  test('sets variables that there are', () => {
    const variables = new Set(listKeys().flatMap((key) => key.variables))
    const names = Object.keys(compose.services['tapekeeper']?.environment ?? {})
    assert.deepEqual(
      names.filter((name) => !variables.has(name)),
      [],
    )
  })
})

test('railway.json asks for /health within 60 s, and starts one recorder at a time', () => {
  const { build, deploy } = JSON.parse(read('deploy/railway.json')) as Record<string, Record<string, unknown>>
  assert.ok(existsSync(join(ROOT, String(build?.['dockerfilePath']))))
  const { healthcheckPath, healthcheckTimeout, numReplicas, overlapSeconds, drainingSeconds } = deploy ?? {}
  assert.deepEqual([healthcheckPath, healthcheckTimeout, numReplicas, overlapSeconds], ['/health', 60, 1, 0])
  assert.ok(Number(drainingSeconds) > DRAIN_SECONDS)
})

describe('the systemd unit', () => {
  const unit = read('deploy/tapekeeper.service')
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1]
  test('is notified, fed and stopped as the recorder needs it', () => {
    assert.deepEqual(['Type', 'NotifyAccess', 'KillMode', 'Restart'].map(value), ['notify', 'all', 'mixed', 'always'])
    assert.ok(Number(value('TimeoutStopSec')) > DRAIN_SECONDS)
    assert.ok(Number(value('WatchdogSec')) >= 30)
    assert.equal(value('Environment'), 'TAPEKEEPER_WATCHDOG_ENABLED=true')
    assert.deepEqual([value('StartLimitIntervalSec'), value('RestartPreventExitStatus')], ['0', '78'])
  })
  const analyze = spawnSync('systemd-analyze', ['--version']).status === 0
  test('is one that systemd takes, and is hardened', { skip: analyze ? false : 'no systemd-analyze here' }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'tapekeeper-unit-'))
    const path = join(folder, 'tapekeeper.service')
    writeFileSync(path, unit.replace('/usr/bin/node', process.execPath))
    const verify = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' })
    const security = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=25', path], {
      encoding: 'utf8',
    })
    rmSync(folder, { recursive: true })
    assert.deepEqual([verify.status, verify.stderr.trim()], [0, ''])
    assert.equal(security.status, 0, security.stdout.split('\n').at(-2))
  })
})

describe('the start script of the container', () => {
  const trees: string[] = []
  after(() => {
    for (const tree of trees) rmSync(tree, { recursive: true, force: true })
  })
  /** The tree of an image: the program, nothing else, and a volume. Nobody may write into the former. */
  function image(): string {
    const tree = mkdtempSync(join(tmpdir(), 'tapekeeper-image-'))
    trees.push(tree)
    for (const name of ['bin', 'dist', 'deploy', 'package.json'])
      cpSync(join(ROOT, name), join(tree, 'app', name), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(tree, 'app', 'node_modules'))
    mkdirSync(join(tree, 'data'), { mode: 0o755 })
    chmodSync(tree, 0o755)
    return tree
  }
  const isRoot = process.getuid?.() === 0
  const nobody = isRoot ? { uid: 65_534, gid: 65_534 } : {}
  const start = (tree: string, args: string[], env: Record<string, string>) =>
    new Running(
      spawn('/bin/sh', [join(tree, 'app/deploy/start.sh'), ...args], {
        cwd: '/',
        env: { PATH: process.env['PATH'] ?? '', ...env },
        ...nobody,
      }),
    )

  test('says which volume it cannot write', {
    skip: isRoot ? false : 'needs root to become somebody else',
  }, async () => {
    const tree = image()
    const env = { RAILWAY_VOLUME_MOUNT_PATH: join(tree, 'data') }
    const { code, stderr } = await start(tree, [], env).ended
    assert.equal(code, 73)
    assert.match(stderr, /data cannot be written by user 65534: mount a volume.*\n.*set RAILWAY_RUN_UID=0/)
    assert.equal((await start(tree, ['--version'], env).ended).code, 0, 'other commands need no volume')
  })

  test('records as an unprivileged user, writes to its volume alone, and passes signals on', async () => {
    const tree = image()
    if (isRoot) spawnSync('chown', ['65534:65534', join(tree, 'data')])
    const port = String(await freePort())
    const env = {
      TAPEKEEPER_DATA_DIR: join(tree, 'data'),
      HEALTH_PORT: port,
      TAPEKEEPER_API_ADDRESS: `127.0.0.1:${await freePort()}`,
      TAPEKEEPER_POLYMARKET_ENABLED: 'false',
    }
    const running = start(tree, [], env)
    await until(
      'the ledger',
      async () => {
        if (!running.alive) assert.fail(running.stderr)
        const body = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as { ledger: { state: string } }
        return body.ledger.state === 'ok' ? true : undefined
      },
      60_000,
    )
    const { code, stderr } = await running.end('SIGTERM')
    assert.equal(code, 0, stderr)
    assert.deepEqual(readdirSync(tree).sort(), ['app', 'data'])
    assert.deepEqual(readdirSync(join(tree, 'app')).sort(), ['bin', 'deploy', 'dist', 'node_modules', 'package.json'])
    assert.ok(readdirSync(join(tree, 'data')).includes('tape'))
  })
})

describe('docs/alerting.md', () => {
  test('its Kubernetes example asks the paths that there are', () => {
    const text = /<!-- example: kubernetes -->\n```yaml\n([\s\S]*?)```/.exec(read('docs/alerting.md'))?.[1] ?? ''
    const manifest = parse(text) as { spec: { template: { spec: Record<string, unknown> } } }
    const {
      terminationGracePeriodSeconds: grace,
      securityContext,
      containers,
    } = manifest.spec.template.spec as {
      terminationGracePeriodSeconds: number
      securityContext: Record<string, unknown>
      containers: Record<string, { httpGet: { path: string } }>[]
    }
    assert.ok(grace > DRAIN_SECONDS)
    assert.equal(securityContext['fsGroupChangePolicy'], 'OnRootMismatch')
    const probes = ['startupProbe', 'livenessProbe', 'readinessProbe'].map(
      (name) => containers[0]?.[name]?.httpGet.path,
    )
    assert.deepEqual(probes, ['/health/live', '/health/live', '/health/ready'])
  })
  test('every variable and every link in it is there', () => {
    const variables = new Set(listKeys().flatMap((key) => key.variables))
    for (const name of ['docs/alerting.md', 'docs/runbook.md']) {
      for (const [variable] of read(name).matchAll(/\bTAPEKEEPER_[A-Z_]+\b/g))
        assert.ok(variables.has(variable), variable)
      for (const [, path = ''] of read(name).matchAll(/\]\(([\w/.-]+)(?:#[\w-]+)?\)/g))
        assert.ok(existsSync(join(ROOT, 'docs', path)), path)
    }
  })
})

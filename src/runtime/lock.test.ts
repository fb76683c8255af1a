import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, test } from 'node:test'
import { PermanentError } from '../core/errors.ts'
import { lockDataDirectory } from './lock.ts'
import { claimRecord } from './lock-record.ts'
import { identifyProcess, isSameLivingProcess } from './process-identity.ts'

const roots: string[] = []
const children = new Set<ChildProcess>()

after(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const root of roots) rmSync(root, { recursive: true, force: true })
})

function temporaryFolder(): string {
  const root = mkdtempSync(join(tmpdir(), 'tapekeeper-lock-'))
  roots.push(root)
  return root
}

/** A process that tries to take the folder when told to, says what came of it and then keeps what it has. */
async function contender(kind: 'lock' | 'record', folder: string) {
  const module = new URL(kind === 'lock' ? './lock.ts' : './lock-record.ts', import.meta.url).href
  const attempt =
    kind === 'lock'
      ? `m.lockDataDirectory(${JSON.stringify(folder)}); console.log('ours')`
      : `console.log(m.claimRecord(${JSON.stringify(folder)}).kind)`
  const script = `
    import(${JSON.stringify(module)}).then((m) => {
      console.log('ready')
      process.stdin.on('end', () => process.exit(0))
      process.stdin.once('data', () => { try { ${attempt} } catch (error) { console.log(error.message) } })
    })`
  const args = ['--import', 'tsx', '--input-type=module', '-e', script]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  children.add(child)
  child.once('exit', () => children.delete(child))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  assert.equal((await lines.next()).value, 'ready')
  const attemptNow = async (): Promise<string> => {
    child.stdin.write('go\n')
    return String((await lines.next()).value)
  }
  const kill = async (): Promise<void> => {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  return { pid: child.pid ?? 0, attemptNow, kill }
}

describe('the lock on the data directory', () => {
  for (const kind of ['lock', 'record'] as const) {
    test(`${kind}: of processes that start together one gets it; after a kill -9 another can`, async () => {
      const folder = temporaryFolder()
      const stale = JSON.stringify({ pid: process.pid, startedAt: 'long ago', bootId: '' })
      if (kind === 'record') writeFileSync(join(folder, 'holder-000000000041.json'), stale)
      const all = await Promise.all(Array.from({ length: 4 }, () => contender(kind, folder)))
      const answers = await Promise.all(all.map((one) => one.attemptNow()))
      const winners = all.filter((_one, index) => answers[index] === 'ours')
      assert.equal(winners.length, 1, answers.join(' | '))
      const [winner] = winners
      assert.ok(winner)
      await winner.kill()
      const [next, ...losers] = all.filter((one) => one !== winner)
      assert.ok(next)
      for (const loser of losers) await loser.kill()
      if (kind === 'lock') {
        const refusal = `another tapekeeper (pid ${winner.pid}) is using ${folder}`
        assert.ok(answers.includes(refusal) || answers.includes(`another tapekeeper is using ${folder}`))
        const lock = lockDataDirectory(folder)
        lock.release()
        lock.release()
        lockDataDirectory(folder).release()
      } else {
        const claim = claimRecord(folder)
        assert.equal(claim.kind, 'ours')
        assert.equal(readdirSync(folder).length, 1, 'older records and drafts are gone')
      }
      await next.kill()
    })
  }

  test('a second one gets one clear line with the holder and exit code 73', async () => {
    const folder = temporaryFolder()
    const holder = await contender('lock', folder)
    assert.equal(await holder.attemptNow(), 'ours')
    assert.throws(() => lockDataDirectory(folder), {
      name: 'PermanentError',
      message: `another tapekeeper (pid ${holder.pid}) is using ${folder}`,
      exitCode: 73,
    })
    await holder.kill()
    lockDataDirectory(folder).release()
  })

  test('the same process cannot take it twice', () => {
    const folder = temporaryFolder()
    const lock = lockDataDirectory(folder)
    assert.throws(() => lockDataDirectory(folder), new RegExp(`\\(pid ${process.pid}\\) is using`))
    lock.release()
  })

  test('survives process-id reuse: a record of our number from another life or another boot is stale', () => {
    const self = identifyProcess(process.pid)
    assert.ok(self)
    for (const stranger of [
      { ...self, startedAt: `${self.startedAt}0` },
      { ...self, bootId: 'another boot' },
      { ...self, pid: 2 ** 22 + 1 },
      { pid: 'x' },
      null,
    ]) {
      const folder = temporaryFolder()
      writeFileSync(join(folder, 'holder-000000000007.json'), JSON.stringify(stranger))
      assert.equal(claimRecord(folder).kind, 'ours', JSON.stringify(stranger))
      assert.deepEqual(readdirSync(folder), ['holder-000000000008.json'])
    }
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'holder-000000000007.json'), JSON.stringify(self))
    assert.deepEqual(claimRecord(folder), { kind: 'held', pid: process.pid })
  })

  test('a process is the same only while it lives', async () => {
    const child = await contender('record', temporaryFolder())
    const identity = identifyProcess(child.pid)
    assert.ok(identity)
    assert.equal(isSameLivingProcess(identity), true)
    await child.kill()
    assert.equal(isSameLivingProcess(identity), false)
  })

  test('a zombie holds nothing', { skip: process.platform === 'linux' ? false : 'needs /proc' }, async () => {
    // A child that ends after its parent has become a program that never waits for children.
    const parent = spawn('sh', ['-c', 'exec 3<&0; cat <&3 & echo $!; exec sleep 60'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    children.add(parent)
    const lines = createInterface({ input: parent.stdout })[Symbol.asyncIterator]()
    const pid = Number((await lines.next()).value)
    const until = async (file: string, pattern: RegExp): Promise<void> => {
      while (!pattern.test(readFileSync(file, 'utf8'))) await new Promise((resolve) => setImmediate(resolve))
    }
    await until(`/proc/${parent.pid}/comm`, /^sleep/)
    parent.stdin.end()
    await until(`/proc/${pid}/stat`, / Z /)
    process.kill(pid, 0) // its number is still taken
    assert.equal(identifyProcess(pid), null)
    const gone = once(parent, 'exit')
    parent.kill('SIGKILL')
    await gone
    children.delete(parent)
  })

  test('a directory that cannot be written gives one clear line and exit code 73', (t) => {
    const folder = temporaryFolder()
    const path = join(folder, 'a-file')
    writeFileSync(path, '')
    const isClear = (error: unknown) =>
      error instanceof PermanentError && error.exitCode === 73 && error.message.startsWith(`cannot use ${path}`)
    assert.throws(() => lockDataDirectory(path), isClear)
    if (process.getuid?.() === 0) return t.diagnostic('root may write anywhere')
    chmodSync(folder, 0o555)
    assert.throws(() => lockDataDirectory(join(folder, 'data')), /cannot use .* EACCES/)
  })
})

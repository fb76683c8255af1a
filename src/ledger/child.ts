import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/** Whom a child process runs as, when that is not us. */
export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

export interface ChildOptions {
  readonly account: Account | null
  readonly timeoutMs: number
  readonly cwd?: string
  readonly input?: string
}

export interface ChildResult {
  readonly ok: boolean
  /** What it printed, both streams, cut at 64 KiB; or why it could not run. */
  readonly output: string
}

const OUTPUT_BYTES_MAX = 65_536
/** Nothing of our own environment, which may hold secrets; Windows programs do not run without theirs. */
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

/** Runs a program to its end, bounded in time. Never throws: a program that cannot run is a failed one. */
export function runChild(file: string, args: readonly string[], options: ChildOptions): Promise<ChildResult> {
  const { account } = options
  return new Promise((resolve) => {
    const child = execFile(
      file,
      args,
      {
        timeout: options.timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: OUTPUT_BYTES_MAX,
        windowsHide: true,
        cwd: options.cwd ?? (process.platform === 'win32' ? undefined : '/'),
        ...(process.platform === 'win32' ? {} : { env: ENVIRONMENT }),
        ...(account === null ? {} : { uid: account.uid, gid: account.gid }),
      },
      (error, stdout, stderr) => {
        const printed = `${stdout}${stderr}`.trim()
        resolve({ ok: error === null, output: printed || (error?.message ?? '') })
      },
    )
    // A child that ends before it reads its input breaks the pipe; its exit code tells more.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
  })
}

/** The account of this name, from /etc/passwd; null where there is none. */
export function findAccount(name: string): Account | null {
  return accounts().find((account) => account.name === name) ?? null
}

/** The account with this user id; its own group when the system does not know it. */
export function accountOfUid(uid: number, gid: number): Account {
  return accounts().find((account) => account.uid === uid) ?? { name: `uid ${uid}`, uid, gid }
}

function accounts(): Account[] {
  if (!existsSync('/etc/passwd')) return []
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  return lines.flatMap((line) => {
    const [name, , uid, gid] = line.split(':')
    return name && uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : []
  })
}

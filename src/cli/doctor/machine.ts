import { access, constants, readFile, stat } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { availableParallelism, totalmem, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { getHeapStatistics } from 'node:v8'
import type { Config } from '../../config/config.ts'
import { describeError } from '../../core/errors.ts'
import { livingHolder } from '../../runtime/lock-record.ts'
import { askHealth } from '../daemon-client.ts'
import { formatBytes } from '../format-bytes.ts'
import { type Check, type Finding, fail, ok, type Patient, warn } from './check.ts'

/** What 20,000 tokens take, with room: the recorder stays under 400 MB, its database under another 400. */
const MEMORY_BYTES_MIN = 1e9
const FILES_MIN = 1_024
const NODE_MIN = [20, 19] as const
const CONNECT_MS = 2_000

/** The process that records into this data directory, by its own record; null when none does. */
export function recorderPid(config: Config): number | null {
  return livingHolder(join(config.dataDir, 'lock'))
}

export function machineChecks({ config }: Patient): readonly Check[] {
  return [
    { name: 'node', look: checkNode },
    { name: 'memory', look: checkMemory },
    { name: 'data directory', look: () => checkDirectory(config) },
    { name: 'health port', look: () => checkHealthPort(config) },
    { name: 'API port', look: () => checkPort(config, config.api, 'api.address') },
  ]
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const text = `${process.versions.node} on ${process.platform} ${process.arch}, ${availableParallelism()} cores`
  const isOld = major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1])
  return isOld ? fail(text, `install Node.js ${NODE_MIN.join('.')} or newer`) : ok(text)
}

async function checkMemory(): Promise<Finding> {
  const limit = process.constrainedMemory()
  const bytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  const heap = getHeapStatistics().heap_size_limit
  const files = await openFilesMax()
  const text = [
    `${formatBytes(bytes)}${limit > 0 && limit < totalmem() ? ' (limited)' : ''}`,
    `heap up to ${formatBytes(heap)}`,
    ...(files === null ? [] : [`${files} open files`]),
  ].join(', ')
  if (bytes < MEMORY_BYTES_MIN) return warn(text, 'give it 1 GB, or follow fewer markets: polymarket.max_markets')
  if (files !== null && files < FILES_MIN)
    return warn(text, `raise the limit of open files to ${FILES_MIN} (ulimit -n)`)
  return ok(text)
}

async function openFilesMax(): Promise<number | null> {
  const text = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const match = /^Max open files +(\d+|unlimited)/m.exec(text)
  return match?.[1] === undefined || match[1] === 'unlimited' ? null : Number(match[1])
}

async function checkDirectory(config: Config): Promise<Finding> {
  const { dataDir } = config
  const folder = await stat(dataDir).catch(() => null)
  if (folder === null) {
    const parent = await nearestFolder(dirname(dataDir))
    const isWritable = await canWrite(parent)
    const text = `${dataDir} is not there yet`
    return isWritable ? ok(`${text}: tapekeeper collect makes it`) : fail(text, `${parent} is not writable for you`)
  }
  if (!folder.isDirectory()) return fail(`${dataDir} is not a directory`, 'choose another data_dir')
  const owner = folder.uid === process.getuid?.() ? 'yours' : `owned by user ${folder.uid}, you are ${userName()}`
  const pid = recorderPid(config)
  const text = `${dataDir}, ${owner}, ${pid === null ? 'no recorder runs' : `a recorder runs (process ${pid})`}`
  return (await canWrite(dataDir))
    ? ok(text)
    : fail(`${text}, not writable`, 'run as its owner, or choose another data_dir')
}

async function nearestFolder(path: string): Promise<string> {
  const exists = await stat(path).catch(() => null)
  return exists !== null || path === dirname(path) ? path : nearestFolder(dirname(path))
}

function canWrite(path: string): Promise<boolean> {
  return access(path, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'somebody') // a user without a name, as in some containers
  }
}

async function checkHealthPort(config: Config): Promise<Finding> {
  if (recorderPid(config) === null) return checkPort(config, config.health, 'health.port')
  try {
    const { url, body } = await askHealth(config)
    const text = `the recorder answers at ${url}: ${String(body['status'])}`
    return ['healthy', 'starting'].includes(String(body['status'])) ? ok(text) : warn(text, 'see tapekeeper status')
  } catch (error) {
    const advice = 'the recorder may have been started with another health.port'
    return fail(`a recorder runs, but ${describeError(error)}`, advice)
  }
}

/** Somebody else on a port is trouble only while no recorder of ours has it. */
async function checkPort(
  config: Config,
  { host, port }: { host: string; port: number },
  key: string,
): Promise<Finding> {
  if (port === 0) return ok('any free one')
  const taken = await isListening(host, port)
  if (recorderPid(config) !== null) return ok(`${host}:${port}${taken ? ', in use while the recorder runs' : ', free'}`)
  if (!taken) return ok(`${host}:${port} is free`)
  return fail(`${host}:${port} is in use by something else`, `set ${key} to another port`)
}

function isListening(host: string, port: number): Promise<boolean> {
  const target = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host
  return new Promise((resolve) => {
    const socket = createConnection({ host: target, port, timeout: CONNECT_MS })
    const end = (listening: boolean) => {
      socket.destroy()
      resolve(listening)
    }
    socket
      .once('connect', () => end(true))
      .once('timeout', () => end(false))
      .once('error', () => end(false))
  })
}

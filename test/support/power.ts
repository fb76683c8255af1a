import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { until } from './processes.ts'

/**
 * A disk whose power can be cut. Two file systems are stacked:
 *
 *     what is tested ──► inner ext4 ──► loop device ──► file on the outer ext4 ──► loop device ──► image
 *
 * The inner one is the computer's file system; the outer one's page cache is the disk's own cache, which a disk may
 * lose: what the inner one writes stays in there until it sends a flush, which the loop device carries out as fsync.
 * The cut shuts the outer one down in the middle of whatever it is doing, without writing anything back. Both caches
 * are gone then, and the image holds what a disk that keeps its word about flushes would hold.
 */
export interface PoweredDisk {
  /** Where the inner file system is mounted. */
  readonly path: string
  /** From here on nothing reaches the medium, and every write fails. */
  cut(): void
  /** Takes away what the cut left and mounts the image again; both file systems replay their journals. */
  restore(): Promise<void>
  remove(): Promise<void>
}

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: stop, and write nothing back, not even the journal. */
const SHUTDOWN = `open(my $d, "<", $ARGV[0]) or die "open: $!"; my $how = pack("L", 2);
  ioctl($d, 0x8004587d, $how) or die "ioctl: $!"`
const UNMOUNT_MS = 20_000
const MIB = 2 ** 20

/** Why there can be no such disk here; null when there can. */
export function whyNoPoweredDisk(): string | null {
  if (process.platform !== 'linux') return 'it takes Linux'
  if (process.getuid?.() !== 0) return 'mounting images needs root'
  if (!existsSync('/dev/loop-control')) return 'there are no loop devices'
  const missing = ['mkfs.ext4', 'perl'].find((name) => spawnSync(name, ['-V']).error !== undefined)
  return missing === undefined ? null : `there is no ${missing}`
}

/** Throws when the kernel does not let us mount, or its loop devices do not pass flushes on. */
export async function createPoweredDisk(directory: string, sizeMib: number): Promise<PoweredDisk> {
  const image = join(directory, 'image')
  const [outer, inner] = [join(directory, 'outer'), join(directory, 'inner')]
  const device = join(outer, 'device')
  await mkdir(outer)
  await mkdir(inner)
  format(image, sizeMib * 1.1 + 24)
  mount(image, outer)
  // Written once, so that the outer file system has no journal entries to make later: overwriting needs none.
  writeFileSync(device, '')
  for (let written = 0; written < sizeMib; written += 16) {
    writeFileSync(device, Buffer.alloc(Math.min(16, sizeMib - written) * MIB), { flag: 'a' })
  }
  run('mkfs.ext4', ['-q', '-m', '0', '-E', 'nodiscard', device])
  run('sync', ['-f', outer])
  mount(device, inner)
  await mustFlush(device)
  return {
    path: inner,
    cut: () => run('perl', ['-e', SHUTDOWN, outer]),
    async restore() {
      await unmount(inner)
      await unmount(outer)
      mount(image, outer)
      mount(device, inner)
    },
    async remove() {
      await unmount(inner)
      await unmount(outer)
    },
  }
}

function format(image: string, sizeMib: number): void {
  writeFileSync(image, '')
  truncateSync(image, Math.ceil(sizeMib) * MIB)
  run('mkfs.ext4', ['-q', '-m', '0', image])
}

function mount(from: string, to: string): void {
  run('mount', ['-o', 'loop', from, to])
}

/** Processes that were killed a moment ago may still hold it. */
async function unmount(path: string): Promise<void> {
  const mounted = () => readFileSync('/proc/self/mounts', 'utf8').includes(` ${path} `)
  await until(
    `${path} to be unmounted`,
    () => (!mounted() || spawnSync('umount', [path]).status === 0 ? true : undefined),
    UNMOUNT_MS,
  )
}

/** Otherwise the inner file system would never send a flush, and the disk would be one that loses everything. */
async function mustFlush(device: string): Promise<void> {
  for (const name of await readdir('/sys/block')) {
    const file = `/sys/block/${name}/loop/backing_file`
    if (!existsSync(file) || readFileSync(file, 'utf8').trim() !== device) continue
    const cache = readFileSync(`/sys/block/${basename(name)}/queue/write_cache`, 'utf8').trim()
    if (cache === 'write back') return
    throw new Error(`the loop device passes no flushes on: ${cache}`)
  }
  throw new Error('the loop device is not there')
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.at(-1)}: ${error?.message ?? stderr}`)
}

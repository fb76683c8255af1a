import { type Disk, realDisk } from '../../src/tape/disk.ts'

/** Where the thread that uses the disk ends, once: with half of the bytes written, or with all of them synced. */
export const DEATH = { append: 1, sync: 2 } as const

/** The real disk until a bit of the shared number is set. For the `disk` option of a tape: runs in its thread. */
export function createDisk(options: unknown): Disk {
  const control = new Int32Array(options as SharedArrayBuffer)
  const dies = (where: number) => (Atomics.and(control, 0, ~where) & where) !== 0
  return {
    ...realDisk,
    append(file, bytes) {
      if (dies(DEATH.append)) {
        realDisk.append(file, bytes.subarray(0, bytes.length / 2))
        process.exit(1) // in a thread this ends the thread alone
      }
      realDisk.append(file, bytes)
    },
    sync(file) {
      realDisk.sync(file)
      if (dies(DEATH.sync)) process.exit(1)
    },
  }
}

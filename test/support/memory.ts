import { readFileSync } from 'node:fs'

/** Memory of one process as the kernel counts it, MiB. */
export interface ProcessMemory {
  readonly rssMib: number
  /** The most that it ever was. */
  readonly peakMib: number
}

/** Null where there is no /proc, or no such process. */
export function readProcessMemory(pid: number): ProcessMemory | null {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return null
  }
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) / 1024
  return { rssMib: mib('VmRSS'), peakMib: mib('VmHWM') }
}

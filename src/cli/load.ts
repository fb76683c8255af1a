import { readFileSync } from 'node:fs'
import { type GlobalFlags, type LoadedConfig, loadConfig } from '../config/load.ts'

/** The configuration of this process: its flags, its environment and the files beside it. */
export function loadForProcess(flags: GlobalFlags): LoadedConfig {
  return loadConfig({ flags, env: process.env, cwd: process.cwd(), readFile: readIfPresent })
}

function readIfPresent(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

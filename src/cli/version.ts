import { readFileSync } from 'node:fs'

/** The version of this program, from its package. */
export function readVersion(): string {
  // the same place from src/cli and from dist/cli
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as unknown
  const version = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : null
  return typeof version === 'string' ? version : 'unknown'
}

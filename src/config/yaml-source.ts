import { isAlias, isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import type { Key } from './keys.ts'
import { nearest } from './nearest.ts'

/** One value as it was found, with the place it was found at. */
export interface FoundValue {
  readonly path: string
  readonly value: unknown
  readonly origin: string
}

export interface Found {
  readonly values: readonly FoundValue[]
  /** What is wrong, one sentence each, with its place. */
  readonly problems: readonly string[]
}

/** Reads a configuration file: nested sections, or dotted keys. `name` is what messages call the file. */
export function readYaml(content: string, name: string, keys: readonly Key[]): Found {
  const lines = new LineCounter()
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false })
  const place = (offset: number | undefined) => `${name}:${lines.linePos(offset ?? 0).line}`
  const [broken] = document.errors
  if (broken) return { values: [], problems: [`${place(broken.pos[0])}: ${broken.message.split('\n')[0]}`] }

  const values: FoundValue[] = []
  const problems: string[] = []
  const known = new Map(keys.map((key) => [key.path, key]))
  const walk = (node: unknown, path: string, offset: number | undefined) => {
    const target = isAlias(node) ? node.resolve(document) : node
    if (known.has(path)) {
      const value = isNode(target) ? target.toJS(document) : null
      if (value !== null) values.push({ path, value, origin: place(offset) })
    } else if (path !== '' && !keys.some((key) => key.path.startsWith(`${path}.`))) {
      problems.push(`${place(offset)}: ${unknownKey(path, keys)}`)
    } else if (isMap(target)) {
      for (const pair of target.items) {
        const key = pair.key as Node | null
        const label = isScalar(key) ? String(key.value) : String(key)
        walk(pair.value, path === '' ? label : `${path}.${label}`, key?.range?.[0])
      }
    } else if (target !== null && !(isScalar(target) && target.value === null)) {
      problems.push(`${place(offset)}: ${path === '' ? 'the file' : `${path} is a section and`} must hold keys`)
    }
  }
  walk(document.contents, '', 0)
  return { values, problems }
}

/** "unknown key …" with the nearest known one. */
export function unknownKey(path: string, keys: readonly Key[]): string {
  const paths = keys.map((key) => key.path)
  const lastName = path.split('.').at(-1) ?? path
  const guess = nearest(path, paths) ?? paths.find((known) => known.split('.').at(-1) === lastName) ?? null
  return `unknown key ${path}${guess ? ` (did you mean ${guess}?)` : ''}`
}

import { z } from 'zod'
import { assert } from '../core/errors.ts'
import { KEY_FACTS, type KeyFacts, SETTINGS } from './schema.ts'

/** One key of the configuration, for example `polymarket.price_interval`. */
export interface Key {
  readonly path: string
  readonly facts: KeyFacts
  /** Environment variables that set it, strongest first. */
  readonly variables: readonly string[]
  /** The default as people would write it; null when there is none. */
  readonly fallback: unknown
}

export const VARIABLE_PREFIX = 'TAPEKEEPER_'

/** Every key, in the order of the schema. */
export function listKeys(): readonly Key[] {
  return collect(SETTINGS, [])
}

function collect(schema: z.core.$ZodType, path: readonly string[]): Key[] {
  if (schema instanceof z.ZodObject) {
    return Object.entries(schema.shape).flatMap(([name, inner]) => collect(inner as z.ZodType, [...path, name]))
  }
  const bare = schema instanceof z.ZodOptional ? schema.unwrap() : schema
  const facts = KEY_FACTS.get(bare as z.ZodType)
  assert(facts, `the key ${path.join('.')} has no facts`)
  const name = VARIABLE_PREFIX + path.join('_').toUpperCase()
  return [
    {
      path: path.join('.'),
      facts,
      variables: [name, ...(facts.variables ?? [])],
      fallback: bare instanceof z.ZodPrefault ? bare.def.defaultValue : null,
    },
  ]
}

/** The value at a dotted path of a nested object; undefined when there is none. */
export function valueAt(object: unknown, path: string): unknown {
  let value: unknown = object
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** A nested object with these values at these dotted paths, and every section present. */
export function nest(values: ReadonlyMap<string, unknown>, keys: readonly Key[]): Record<string, unknown> {
  const root: Record<string, unknown> = {}
  for (const { path } of keys) {
    const names = path.split('.')
    const last = names.pop() ?? ''
    let section = root
    for (const name of names) {
      section[name] ??= {}
      section = section[name] as Record<string, unknown>
    }
    if (values.has(path)) section[last] = values.get(path)
  }
  return root
}

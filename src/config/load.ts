import { dirname, isAbsolute, relative, resolve } from 'node:path'
import { PermanentError } from '../core/errors.ts'
import { type Config, toConfig } from './config.ts'
import { type Key, listKeys, nest, VARIABLE_PREFIX, valueAt } from './keys.ts'
import { nearest } from './nearest.ts'
import { SETTINGS, type Settings } from './schema.ts'
import { type Found, type FoundValue, readYaml, unknownKey } from './yaml-source.ts'

/** Flags that every command takes. */
export interface GlobalFlags {
  /** Path of the configuration file. */
  readonly config?: string | undefined
  readonly dataDir?: string | undefined
  readonly logLevel?: string | undefined
  /** `key=value`, any key; `key=` takes it back to its default. */
  readonly set?: readonly string[] | undefined
  readonly json?: boolean | undefined
}

export interface ConfigSources {
  readonly flags: GlobalFlags
  readonly env: Readonly<Record<string, string | undefined>>
  /** Relative paths start here. */
  readonly cwd: string
  /** Returns a file's text, or null when there is no such file; throws when it cannot be read. */
  readonly readFile: (path: string) => string | null
}

/** Where a value comes from: a flag, an environment variable, `tapekeeper.yaml:12` or `default`. */
export type Origin = string

export interface Setting {
  readonly key: string
  /** As people would write it, secrets masked; null when it is not set. */
  readonly value: string | number | boolean | null | readonly string[]
  readonly origin: Origin
  readonly about: string
}

export interface LoadedConfig {
  readonly config: Config
  readonly settings: readonly Setting[]
  readonly origins: ReadonlyMap<string, Origin>
  /** The configuration file in force, absolute; null when there is none. */
  readonly file: string | null
  /** One sentence per value that was set and has no effect. */
  readonly notices: readonly string[]
}

const DEFAULT_FILE = 'tapekeeper.yaml'
/** Names the configuration file itself, so it is no key. */
const FILE_VARIABLE = `${VARIABLE_PREFIX}CONFIG`

/** `--set key=` takes a key back to its default, whatever the environment and the file say. */
const RESET = Symbol('reset')

/** Puts flags, environment, file and defaults together. Throws PermanentError (exit 78) with one line. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const keys = listKeys()
  const file = findFile(sources)
  // strongest last
  const layers: readonly Found[] = [
    fromDefaults(keys, sources.env),
    file === null ? { values: [], problems: [] } : readYaml(file.content, file.name, keys),
    fromEnvironment(keys, sources.env),
    fromFlags(keys, sources.flags),
  ]
  const problems = layers.flatMap((layer) => layer.problems)
  if (problems.length > 0) throw refuse(problems)

  const winners = new Map<string, FoundValue>()
  for (const layer of layers) for (const found of layer.values) winners.set(found.path, found)
  for (const found of [...winners.values()]) if (found.value === RESET) winners.delete(found.path)
  readTokenFile(winners, sources)
  const origins = new Map(keys.map((key) => [key.path, winners.get(key.path)?.origin ?? 'default']))
  const settings = check(winners, keys)
  return {
    config: toConfig(settings, (path) => resolve(sources.cwd, path)),
    settings: keys.map((key) => describe(key, settings, origins.get(key.path) ?? 'default')),
    origins,
    file: file === null ? null : file.path,
    notices: noticesOf(settings, origins),
  }
}

function findFile({
  flags,
  env,
  cwd,
  readFile,
}: ConfigSources): { path: string; name: string; content: string } | null {
  const named = flags.config ?? nonEmpty(env[FILE_VARIABLE])
  const path = resolve(cwd, named ?? DEFAULT_FILE)
  let content: string | null
  try {
    content = readFile(path)
  } catch (error) {
    throw new PermanentError(`cannot read the configuration file ${path}`, { cause: error })
  }
  if (content === null) {
    if (named === undefined) return null
    throw new PermanentError(`there is no configuration file ${path}`)
  }
  return { path, name: shortPath(path, cwd), content }
}

function shortPath(path: string, cwd: string): string {
  const short = relative(cwd, path)
  return short.startsWith('..') || isAbsolute(short) || dirname(short) !== '.' ? path : short
}

/** systemd tells a service where its state belongs; that replaces the default and gives way to everything else. */
function fromDefaults(keys: readonly Key[], env: ConfigSources['env']): Found {
  const stateDirectory = nonEmpty(env['STATE_DIRECTORY'])?.split(':')[0]
  const values = keys
    .filter((key) => key.path === 'data_dir' && stateDirectory !== undefined)
    .map((key) => ({ path: key.path, value: stateDirectory, origin: 'STATE_DIRECTORY' }))
  return { values, problems: [] }
}

function fromEnvironment(keys: readonly Key[], env: ConfigSources['env']): Found {
  const values = keys.flatMap((key) => {
    const variable = key.variables.find((name) => nonEmpty(env[name]) !== undefined)
    return variable === undefined ? [] : [{ path: key.path, value: env[variable], origin: variable }]
  })
  const known = [...keys.flatMap((key) => key.variables), FILE_VARIABLE]
  const problems = Object.keys(env)
    .filter((name) => name.startsWith(VARIABLE_PREFIX) && !known.includes(name))
    .map((name) => {
      const guess = nearest(
        name.slice(VARIABLE_PREFIX.length),
        known.map((other) => other.replace(VARIABLE_PREFIX, '')),
      )
      return `unknown environment variable ${name}${guess ? ` (did you mean ${VARIABLE_PREFIX}${guess}?)` : ''}`
    })
  return { values, problems }
}

/** An empty variable counts as unset: `${NAME:-}` in compose files and CI makes many of them. */
function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value
}

function fromFlags(keys: readonly Key[], flags: GlobalFlags): Found {
  const values: FoundValue[] = []
  const problems: string[] = []
  for (const assignment of flags.set ?? []) {
    const [path = '', ...rest] = assignment.split('=')
    if (rest.length === 0) problems.push(`--set takes key=value, not ${assignment}`)
    else if (!keys.some((key) => key.path === path)) problems.push(`--set: ${unknownKey(path, keys)}`)
    else values.push({ path, value: rest.join('=') || RESET, origin: '--set' })
  }
  if (flags.dataDir !== undefined) values.push({ path: 'data_dir', value: flags.dataDir, origin: '--data-dir' })
  if (flags.logLevel !== undefined) values.push({ path: 'log.level', value: flags.logLevel, origin: '--log-level' })
  return { values, problems }
}

/** The token of `api.token_file` becomes `api.token`, unless both were given. */
function readTokenFile(winners: Map<string, FoundValue>, { cwd, readFile }: ConfigSources): void {
  const named = winners.get('api.token_file')
  if (named === undefined) return
  const token = winners.get('api.token')
  if (token) throw refuse([`set api.token (${token.origin}) or api.token_file (${named.origin}), not both`])
  const path = resolve(cwd, String(named.value))
  let content: string | null
  try {
    content = readFile(path)
  } catch (error) {
    throw new PermanentError(`api.token_file (${named.origin}): cannot read ${path}`, { cause: error })
  }
  if (content === null) throw refuse([`api.token_file (${named.origin}): there is no file ${path}`])
  winners.set('api.token', { path: 'api.token', value: content.trim(), origin: path })
}

function check(winners: ReadonlyMap<string, FoundValue>, keys: readonly Key[]): Settings {
  const values = new Map([...winners].map(([path, found]) => [path, found.value]))
  const result = SETTINGS.safeParse(nest(values, keys))
  if (!result.success) throw refuse(result.error.issues.map((issue) => explain(issue, winners)))
  const missing = halfChannels(result.data.alerts)
  if (missing.length > 0) throw refuse(missing)
  return result.data
}

/** A channel that lacks a part would be silent, and silence is what alerts are there to end. */
function halfChannels(alerts: Settings['alerts']): readonly string[] {
  const lacks = (given: Record<string, unknown>) => {
    const unset = Object.entries(given).filter(([, value]) => value === undefined || String(value) === '')
    if (unset.length === 0 || unset.length === Object.keys(given).length) return []
    return unset.map(([key]) => `alerts.${key} is missing: the other keys of its channel are set`)
  }
  const { telegram_token, telegram_chat, smtp_url, email_from, email_to } = alerts
  return [...lacks({ telegram_token, telegram_chat }), ...lacks({ smtp_url, email_from, email_to })]
}

/** Names the key and its origin, never the value: it may be a secret. */
function explain(issue: { path: PropertyKey[]; message: string }, winners: ReadonlyMap<string, FoundValue>): string {
  const path = issue.path.map(String)
  while (path.length > 1 && !winners.has(path.join('.'))) path.pop()
  const key = path.join('.')
  return `${key} (${winners.get(key)?.origin ?? 'default'}) ${issue.message}`
}

function refuse(problems: readonly string[]): PermanentError {
  return new PermanentError([...new Set(problems)].join('; '))
}

function describe(key: Key, settings: Settings, origin: Origin): Setting {
  const value = valueAt(settings, key.path)
  const show = key.facts.show as ((value: unknown) => string) | undefined
  return {
    key: key.path,
    value: value === undefined ? null : show ? show(value) : (value as Setting['value']),
    origin,
    about: key.facts.about,
  }
}

/** Whoever names what is to be scraped expects it to be. */
function noticesOf({ signals }: Settings, origins: ReadonlyMap<string, Origin>): string[] {
  if (signals.enabled) return []
  return ['signals.feeds', 'signals.pages']
    .filter((key) => origins.get(key) !== 'default')
    .map((key) => `${key} (${origins.get(key)}) is not read on a schedule: signals.enabled is false`)
}

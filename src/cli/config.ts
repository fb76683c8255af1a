import colors from 'picocolors'
import { secretsOf } from '../config/config.ts'
import type { GlobalFlags, LoadedConfig, Setting } from '../config/load.ts'
import { maskDatabaseUrl } from '../config/values.ts'
import { EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import { columns } from './columns.ts'
import { loadForProcess } from './load.ts'
import { printJson, printMessage, printResult } from './output.ts'

export interface ConfigFlags extends GlobalFlags {
  readonly showSecrets?: boolean
  readonly connectionString?: boolean
  readonly reference?: boolean
  readonly environment?: boolean
}

/** How other programs reach the ledger. */
interface LedgerAccess {
  readonly kind: 'embedded' | 'server'
  /** False when the embedded server does not run; null when nobody here knows (a server of your own). */
  readonly running: boolean | null
  /** Holds a password; null before the first start. */
  readonly connectionString: string | null
}

/** `tapekeeper config`: what is in force, and from where. */
export async function runConfig(flags: ConfigFlags): Promise<ExitCode> {
  if (flags.reference) {
    const { configurationReference } = await import('../config/reference.ts')
    printResult(configurationReference())
    return EXIT.ok
  }
  if (flags.environment) {
    const { environmentExample } = await import('../config/reference.ts')
    printResult(environmentExample())
    return EXIT.ok
  }
  const loaded = loadForProcess(flags)
  for (const notice of loaded.notices) printMessage(`tapekeeper: ${notice}`)
  const access = await findLedger(loaded)
  if (flags.connectionString) return printConnectionString(access, loaded.config.dataDir)
  const settings = flags.showSecrets ? loaded.settings.map((setting) => reveal(setting, loaded)) : loaded.settings
  const shown = access.connectionString === null ? null : shownConnection(access.connectionString, flags)
  if (flags.json) {
    printJson({
      file: loaded.file,
      ledger: { kind: access.kind, running: access.running },
      connection_string: shown,
      settings: settings.map(({ key, value, origin }) => ({ key, value, origin })),
      notices: loaded.notices,
    })
  } else {
    printSettings(settings, loaded.file)
    printResult(`\nledger  ${describeAccess(access, shown)}`)
  }
  return EXIT.ok
}

async function findLedger({ config }: LoadedConfig): Promise<LedgerAccess> {
  if (config.database.url) {
    return { kind: 'server', running: null, connectionString: config.database.url.reveal() }
  }
  const { findEmbeddedConnectionString } = await import('../ledger/embedded.ts')
  const found = findEmbeddedConnectionString(config.dataDir)
  return { kind: 'embedded', running: found?.running ?? false, connectionString: found?.connectionString ?? null }
}

function printConnectionString(access: LedgerAccess, dataDir: string): ExitCode {
  if (access.connectionString === null) {
    throw new PermanentError(`there is no ledger in ${dataDir} yet: tapekeeper collect makes it`, {
      exitCode: EXIT.unavailable,
    })
  }
  printResult(access.connectionString)
  return EXIT.ok
}

function shownConnection(connectionString: string, flags: ConfigFlags): string {
  return flags.showSecrets ? connectionString : maskDatabaseUrl(connectionString)
}

function describeAccess(access: LedgerAccess, shown: string | null): string {
  if (shown === null) return 'embedded PostgreSQL, made when tapekeeper collect first starts'
  if (access.kind === 'server') return shown
  return `${shown}  (embedded PostgreSQL, ${access.running ? 'running' : 'not running'})`
}

function reveal(setting: Setting, { config }: LoadedConfig): Setting {
  const value = secretsOf(config).get(setting.key)
  return value ? { ...setting, value: value.reveal() } : setting
}

function printSettings(settings: readonly Setting[], file: string | null): void {
  printResult(`${file === null ? 'no configuration file' : `configuration file ${file}`}\n\n`)
  const rows = settings.map((setting) => {
    const chosen = setting.origin !== 'default'
    const value = setting.value === null ? '–' : [setting.value].flat().join(', ') || 'none'
    const { origin } = setting
    return [setting.key, chosen ? colors.bold(value) : value, chosen ? colors.cyan(origin) : colors.dim(origin)]
  })
  const head = ['key', 'value', 'from'].map((title) => colors.underline(title))
  for (const line of columns([head, ...rows])) printResult(line)
}

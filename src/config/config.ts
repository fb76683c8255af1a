import type { Settings } from './schema.ts'
import { type Secret, secret } from './secret.ts'
import { maskDatabaseUrl } from './values.ts'

/** The configuration in force, as the program uses it: durations in ms, sizes in bytes, paths absolute. */
export interface Config {
  readonly dataDir: string
  /** null: the daemon makes one and keeps it in the data directory. */
  readonly recorderId: string | null
  /** `url` null: the embedded server. */
  readonly database: { readonly url: Secret | null }
  readonly health: { readonly host: string; readonly port: number; readonly logIntervalMs: number }
  readonly api: {
    readonly host: string
    readonly port: number
    readonly token: Secret | null
    readonly allowedHosts: readonly string[]
  }
  readonly log: { readonly level: LogLevel }
  readonly logs: { readonly retentionMs: number }
  readonly storage: { readonly maxBytes: number; readonly tapeMaxAgeMs: number; readonly rowsMaxAgeMs: number }
  readonly polymarket: PolymarketConfig
  readonly assets: { readonly enabled: boolean; readonly priceIntervalMs: number; readonly yahooUrl: string }
  readonly signals: { readonly enabled: boolean; readonly intervalMs: number; readonly feeds: readonly string[] }
}

export type LogLevel = Settings['log']['level']

/** URLs have no trailing slash. */
export interface PolymarketConfig {
  readonly enabled: boolean
  readonly gammaUrl: string
  readonly clobUrl: string
  readonly dataUrl: string
  readonly wsUrl: string
  readonly marketsIntervalMs: number
  readonly priceIntervalMs: number
  readonly orderbookIntervalMs: number
  readonly resolutionIntervalMs: number
  readonly maxMarkets: number
  readonly maxTokensPerConnection: number
  readonly pingIntervalMs: number
  readonly stallTimeoutMs: number
  readonly orderbookDepth: number
  readonly critical: PolymarketCritical
}

/** Whether health depends on each collector. */
export interface PolymarketCritical {
  readonly markets: boolean
  readonly prices: boolean
  readonly orderbooks: boolean
  readonly resolutions: boolean
  readonly trades: boolean
}

/** Gives settings the shape that the program uses. */
export function toConfig(settings: Settings, absolute: (path: string) => string): Config {
  const { database, health, api, storage } = settings
  return {
    dataDir: absolute(settings.data_dir),
    recorderId: settings.recorder_id ?? null,
    database: { url: database.url === undefined ? null : secret(database.url, maskDatabaseUrl(database.url)) },
    health: { host: health.host, port: health.port, logIntervalMs: health.log_interval },
    api: {
      ...api.address,
      token: api.token === undefined ? null : secret(api.token),
      allowedHosts: api.allowed_hosts,
    },
    log: settings.log,
    logs: { retentionMs: settings.logs.retention },
    storage: { maxBytes: storage.max_bytes, tapeMaxAgeMs: storage.tape_max_age, rowsMaxAgeMs: storage.rows_max_age },
    polymarket: toPolymarket(settings.polymarket),
    assets: {
      enabled: settings.assets.enabled,
      priceIntervalMs: settings.assets.price_interval,
      yahooUrl: settings.assets.yahoo_url,
    },
    signals: {
      enabled: settings.signals.enabled,
      intervalMs: settings.signals.interval,
      feeds: settings.signals.feeds,
    },
  }
}

function toPolymarket(settings: Settings['polymarket']): PolymarketConfig {
  return {
    enabled: settings.enabled,
    gammaUrl: settings.gamma_url,
    clobUrl: settings.clob_url,
    dataUrl: settings.data_url,
    wsUrl: settings.ws_url,
    marketsIntervalMs: settings.markets_interval,
    priceIntervalMs: settings.price_interval,
    orderbookIntervalMs: settings.orderbook_interval,
    resolutionIntervalMs: settings.resolution_interval,
    maxMarkets: settings.max_markets,
    maxTokensPerConnection: settings.max_tokens_per_connection,
    pingIntervalMs: settings.ping_interval,
    stallTimeoutMs: settings.stall_timeout,
    orderbookDepth: settings.orderbook_depth,
    critical: {
      markets: settings.markets.critical,
      prices: settings.prices.critical,
      orderbooks: settings.orderbooks.critical,
      resolutions: settings.resolutions.critical,
      trades: settings.trades.critical,
    },
  }
}

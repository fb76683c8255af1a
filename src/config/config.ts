import type { FeedPlace } from './feeds.ts'
import type { PagePlace } from './pages.ts'
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
  readonly alerts: AlertsConfig
  readonly pings: { readonly url: Secret | null }
  readonly sentry: { readonly dsn: Secret | null; readonly environment: string }
  readonly storage: { readonly maxBytes: number; readonly tapeMaxAgeMs: number; readonly rowsMaxAgeMs: number }
  readonly watchdog: { readonly enabled: boolean; readonly timeoutMs: number }
  readonly polymarket: PolymarketConfig
  readonly assets: AssetsConfig
  readonly signals: SignalsConfig
}

/** Times are ms. A channel is null where it is not configured. */
export interface AlertsConfig {
  readonly intervalMs: number
  readonly openFailures: number
  readonly openAfterMs: number
  readonly staleAfterMs: number
  readonly closeAfterMs: number
  readonly repeatMs: number
  readonly webhookUrl: Secret | null
  readonly slackUrl: Secret | null
  readonly telegram: { readonly url: string; readonly token: Secret; readonly chat: string } | null
  readonly email: { readonly smtpUrl: Secret; readonly from: string; readonly to: readonly string[] } | null
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
  /** Of the elapsed time, for checks of book hashes. */
  readonly checkPercent: number
  readonly backfillIntervalMs: number
  readonly backfillEnabled: boolean
  readonly critical: PolymarketCritical
}

/** Whether health depends on each collector. */
export interface PolymarketCritical {
  readonly markets: boolean
  readonly prices: boolean
  readonly orderbooks: boolean
  readonly resolutions: boolean
  readonly trades: boolean
  readonly backfill: boolean
}

/** The URL has no trailing slash. */
export interface AssetsConfig {
  readonly enabled: boolean
  readonly priceIntervalMs: number
  readonly requestDelayMs: number
  readonly yahooUrl: string
  readonly critical: { readonly prices: boolean; readonly backfill: boolean }
}

export interface SignalsConfig {
  readonly enabled: boolean
  readonly intervalMs: number
  readonly feeds: readonly FeedPlace[]
  /** Null: it is not read. Without a slash at its end. */
  readonly hackernewsUrl: string | null
  readonly pages: readonly PagePlace[]
  readonly keywords: readonly string[]
  readonly companies: readonly string[]
  readonly requestDelayMs: number
  readonly allowPrivate: boolean
  readonly critical: boolean
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
    alerts: toAlerts(settings.alerts),
    pings: { url: optional(settings.pings.url) },
    sentry: { dsn: optional(settings.sentry.dsn), environment: settings.sentry.environment },
    storage: { maxBytes: storage.max_bytes, tapeMaxAgeMs: storage.tape_max_age, rowsMaxAgeMs: storage.rows_max_age },
    watchdog: { enabled: settings.watchdog.enabled, timeoutMs: settings.watchdog.timeout },
    polymarket: toPolymarket(settings.polymarket),
    assets: {
      enabled: settings.assets.enabled,
      priceIntervalMs: settings.assets.price_interval,
      requestDelayMs: settings.assets.request_delay,
      yahooUrl: settings.assets.yahoo_url,
      critical: { prices: settings.assets.prices.critical, backfill: settings.assets.backfill.critical },
    },
    signals: toSignals(settings.signals),
  }
}

function toSignals(settings: Settings['signals']): SignalsConfig {
  const { enabled, interval, feeds, hackernews, pages, keywords, companies } = settings
  return {
    ...{ enabled, feeds, pages, keywords, companies },
    intervalMs: interval,
    hackernewsUrl: hackernews.enabled ? hackernews.url : null,
    requestDelayMs: settings.request_delay,
    allowPrivate: settings.allow_private,
    critical: settings.scrape.critical,
  }
}

function optional(value: string | undefined): Secret | null {
  return value === undefined ? null : secret(value)
}

/** Every secret there is, by its key. */
export function secretsOf({ database, api, alerts, pings, sentry }: Config): ReadonlyMap<string, Secret> {
  const secrets: readonly (readonly [string, Secret | null | undefined])[] = [
    ['database.url', database.url],
    ['api.token', api.token],
    ['alerts.webhook_url', alerts.webhookUrl],
    ['alerts.slack_url', alerts.slackUrl],
    ['alerts.telegram_token', alerts.telegram?.token],
    ['alerts.smtp_url', alerts.email?.smtpUrl],
    ['pings.url', pings.url],
    ['sentry.dsn', sentry.dsn],
  ]
  return new Map(secrets.flatMap(([key, value]) => (value ? [[key, value] as const] : [])))
}

function toAlerts(settings: Settings['alerts']): AlertsConfig {
  const { telegram_token: token, telegram_chat: chat, smtp_url: smtpUrl, email_from: from } = settings
  return {
    intervalMs: settings.check_interval,
    openFailures: settings.open_failures,
    openAfterMs: settings.open_after,
    staleAfterMs: settings.stale_after,
    closeAfterMs: settings.close_after,
    repeatMs: settings.repeat,
    webhookUrl: optional(settings.webhook_url),
    slackUrl: optional(settings.slack_url),
    telegram: token && chat ? { url: settings.telegram_url, token: secret(token), chat } : null,
    email: smtpUrl && from ? { smtpUrl: secret(smtpUrl), from, to: settings.email_to } : null,
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
    checkPercent: settings.check_percent,
    backfillIntervalMs: settings.backfill_interval,
    backfillEnabled: settings.backfill.enabled,
    critical: {
      markets: settings.markets.critical,
      prices: settings.prices.critical,
      orderbooks: settings.orderbooks.critical,
      resolutions: settings.resolutions.critical,
      trades: settings.trades.critical,
      backfill: settings.backfill.critical,
    },
  }
}

import type { Config } from '../config/config.ts'
import { formatAddress } from '../config/values.ts'
import type { Logger } from '../core/log.ts'

interface Introduced {
  readonly config: Config
  readonly version: string
  readonly log: Logger
}

/** One line each: what is recorded, where the data is, where health and the API are. */
export function introduce(
  { config, version, log }: Introduced,
  directory: string,
  ports: { health: number; api: number },
): void {
  const { polymarket, health, api, database } = config
  const where = database.url === null ? 'its own PostgreSQL' : `PostgreSQL at ${database.url.masked}`
  const seen = (host: string) => (['0.0.0.0', '::'].includes(host) ? 'localhost' : host)
  log.info({}, `tapekeeper ${version} started (process ${process.pid})`)
  if (polymarket.enabled) {
    const markets = `up to ${polymarket.maxMarkets} open markets`
    log.info({}, `recording Polymarket: ${markets}, trades from ${new URL(polymarket.wsUrl).host}`)
  } else {
    log.warn({}, 'recording nothing: polymarket.enabled is false')
  }
  log.info({}, `data is in ${directory}: the tape in tape/, rows in ${where}`)
  log.info({}, `health is at http://${seen(health.host)}:${ports.health}/health; \`tapekeeper status\` shows more`)
  log.info({}, `the page and the API are at http://${formatAddress({ host: seen(api.host), port: ports.api })}/`)
}

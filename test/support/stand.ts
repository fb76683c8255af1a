import { startVenueProcess } from '../../src/sim/process.ts'
import { startBrowser } from './browser.ts'
import { Daemon, freePort, removeDirectory, temporaryDirectory, venueEnvironment } from './daemon.ts'

export interface StandOptions {
  /** Variables of the recorder besides those of its venue. */
  readonly env?: Readonly<Record<string, string>>
  /** Asks for prices of assets, every 5 s. */
  readonly assets?: boolean
}

const ASSETS = {
  TAPEKEEPER_ASSETS_ENABLED: 'true',
  TAPEKEEPER_ASSETS_PRICE_INTERVAL: '5s',
  TAPEKEEPER_ASSETS_REQUEST_DELAY: '5ms',
}

/** A real recorder of a simulated venue, and a browser to look at its page with. */
export async function startStand({ env: more = {}, assets = false }: StandOptions = {}) {
  const directory = await temporaryDirectory()
  const venue = await startVenueProcess({ markets: 12, rate: 50, seed: 5 })
  const address = { TAPEKEEPER_API_ADDRESS: `127.0.0.1:${await freePort()}` }
  const env = {
    ...venueEnvironment(venue.urls),
    ...(assets ? { ...venue.environment, ...ASSETS } : {}),
    ...address,
    ...more,
  }
  const token = more['TAPEKEEPER_API_TOKEN']
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const start = () => Daemon.start(directory, env)
  const stand = {
    venue,
    browser: await startBrowser(),
    daemon: await start(),
    /** The same recorder again, at the same address. */
    async startAgain() {
      stand.daemon = await start()
    },
    async get<T>(path: string): Promise<T> {
      return (await (await fetch(`${stand.daemon.apiUrl}/${path}`, { headers: authorization })).json()) as T
    },
    /** Throws what the API says when it refuses. */
    async send<T>(path: string, body: unknown): Promise<T> {
      const headers = { ...authorization, 'content-type': 'application/json' }
      const options = { method: 'POST', headers, body: JSON.stringify(body) }
      const answer = await fetch(`${stand.daemon.apiUrl}/${path}`, options)
      if (!answer.ok) throw new Error(await answer.text())
      return (await answer.json()) as T
    },
    async end() {
      await stand.browser.close()
      await stand.daemon.end('SIGTERM')
      await venue.stop()
      await removeDirectory(directory)
    },
  }
  await stand.daemon.whenHealth('a healthy recorder', ({ status }) => status === 'healthy')
  return stand
}

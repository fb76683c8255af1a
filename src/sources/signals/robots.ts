import robotsParser from 'robots-parser'
import type { Clock } from '../../core/clock.ts'
import { describeError, TransientError } from '../../core/errors.ts'
import { DocumentStatusError } from '../../runtime/document-client.ts'
import { decodeText } from './charset.ts'
import type { GetDocument } from './scraper.ts'

/** What hosts say programs may read (RFC 9309). */
export interface Robots {
  /** Throws TransientError where the address must not be asked for; else the delay that the host wants, ms. */
  mayAsk(url: URL, get: GetDocument): Promise<number>
}

interface Rules {
  isAllowed(url: string, agent: string): boolean | undefined
  getCrawlDelay(agent: string): number | undefined
}

/** The package is a function, which its types hide from modules like this one. */
const readRules = robotsParser as unknown as (address: string, text: string) => Rules

/** The name that hosts know us by. */
const AGENT = 'tapekeeper'
const BODY_BYTES_MAX = 500 * 1024
const KEPT_MS = 86_400_000
const HOSTS_MAX = 500
const DELAY_MS_MAX = 30_000

interface Kept {
  readonly untilMs: number
  /** Null: the host has no rules. */
  readonly text: string | null
}

/** Keeps what each host says for a day. */
export function createRobots(clock: Clock): Robots {
  const kept = new Map<string, Kept>()
  return {
    async mayAsk(url, get) {
      const address = `${url.origin}/robots.txt`
      let known = kept.get(url.origin)
      if (known === undefined || known.untilMs <= clock.monotonicMs()) {
        known = { text: await load(address, get), untilMs: clock.monotonicMs() + KEPT_MS }
        if (kept.size >= HOSTS_MAX) kept.delete(kept.keys().next().value ?? '')
        kept.set(url.origin, known)
      }
      if (known.text === null) return 0
      const rules = readRules(address, known.text)
      if (rules.isAllowed(url.href, AGENT) === false) {
        throw new TransientError(`${url.host} does not let programs read ${url.pathname} (robots.txt)`)
      }
      return Math.min((rules.getCrawlDelay(AGENT) ?? 0) * 1000, DELAY_MS_MAX)
    },
  }
}

/** No such file means no rules; a host that cannot say what it wants is left alone. */
async function load(address: string, get: GetDocument): Promise<string | null> {
  try {
    const { body, contentType } = await get(address, { accept: 'text/plain, */*;q=0.5', bodyBytesMax: BODY_BYTES_MAX })
    return decodeText(body, contentType)
  } catch (error) {
    const status = error instanceof DocumentStatusError ? error.status : 0
    if (status >= 400 && status < 500 && status !== 429) return null
    throw new TransientError(`robots.txt cannot be read, so nothing is: ${describeError(error)}`, { cause: error })
  }
}

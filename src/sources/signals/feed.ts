import { TransientError } from '../../core/errors.ts'
import { getChanged } from './document.ts'
import { readFeed } from './feed-document.ts'
import type { Scraper } from './scraper.ts'

/** A feed and what it is called. */
export interface FeedPlace {
  readonly name: string
  readonly url: string
}

const BODY_BYTES_MAX = 4 * 1024 * 1024
const ACCEPT = 'application/rss+xml, application/atom+xml, application/rdf+xml, application/xml;q=0.9, */*;q=0.5'

/** RSS 2.0, RSS 1.0 or Atom. */
export function createFeedScraper({ name, url }: FeedPlace): Scraper {
  return {
    name: `feed:${name}`,
    // Some feeds number their items anew each time.
    trustsIds: false,
    async scrape(context) {
      const changed = await getChanged(context, url, { accept: ACCEPT, bodyBytesMax: BODY_BYTES_MAX })
      if (changed === null) return { found: null, document: null }
      const feed = readFeed(changed.text, changed.foundAt)
      if (!feed.ok) throw new TransientError(`${changed.foundAt}: ${feed.reason}`)
      return { found: feed, document: feed.whole ? changed.state : null }
    },
  }
}

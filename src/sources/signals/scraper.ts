import type { DocumentState } from '../../core/signals.ts'
import type { Document, DocumentRequest } from '../../runtime/document-client.ts'
import type { FoundItems } from './found-item.ts'

/** Asks for a document; what it costs is counted for the source that asks. */
export type GetDocument = (url: string, asked: Omit<DocumentRequest, 'signal' | 'meter'>) => Promise<Document>

export interface ScrapeContext {
  readonly get: GetDocument
  readonly signal: AbortSignal
  /** What is remembered of its document; null the first time and when it was never read whole. */
  readonly known: DocumentState | null
  /** Those of the ids of this source that are stored already. */
  readonly storedIds: (externalIds: readonly string[]) => Promise<ReadonlySet<string>>
}

export interface Scraped {
  /** Null: nothing has changed since it was read whole. */
  readonly found: FoundItems | null
  /** To be remembered; null where something was missing, so that it is read again. */
  readonly document: DocumentState | null
}

/** One source of signals. Finds items and nothing else: it neither stores nor retries nor knows of the others. */
export interface Scraper {
  /** Of the source, like `feed:techcrunch`. */
  readonly name: string
  /** The ids that it gives name one thing for ever. */
  readonly trustsIds: boolean
  /** Throws TransientError in words when there is nothing to be had. */
  scrape(context: ScrapeContext): Promise<Scraped>
}

import type { DocumentState } from '../../core/signals.ts'
import type { DocumentRequest } from '../../runtime/document-client.ts'
import { decodeText } from './charset.ts'
import { hashOf } from './keys.ts'
import type { ScrapeContext } from './scraper.ts'

/** A document that is not what it was. */
export interface ChangedDocument {
  readonly text: string
  /** After redirects. */
  readonly foundAt: string
  /** To be remembered once everything in it was read. */
  readonly state: DocumentState
}

/** Asks for the source's document; null when it is still the one that is known. */
export async function getChanged(
  { get, known }: ScrapeContext,
  url: string,
  asked: Pick<DocumentRequest, 'accept' | 'bodyBytesMax' | 'mayAsk'>,
): Promise<ChangedDocument | null> {
  const own = known?.url === url ? known : null
  const { unchanged, body, contentType, url: foundAt, etag, lastModified } = await get(url, { ...asked, known: own })
  if (unchanged) return null
  const bodyHash = hashOf(body)
  // Many servers send the same again rather than say so.
  if (own?.bodyHash === bodyHash) return null
  return { text: decodeText(body, contentType), foundAt, state: { url, foundAt, etag, lastModified, bodyHash } }
}

/** One item as a source has it, before it is cleaned: text may be HTML, addresses relative, times anything. */
export interface FoundItem {
  readonly externalId: string | null
  readonly url: string | null
  /** What relative addresses start from. */
  readonly base: string
  readonly title: string
  readonly summary: string
  readonly published: string | number | null
  readonly raw: Readonly<Record<string, unknown>>
}

/** What a document holds. */
export interface FoundItems {
  readonly items: readonly FoundItem[]
  /** Items that were there and could not be read: they are read when they come again. */
  readonly damaged: number
  /** Items beyond a limit. */
  readonly dropped: number
  /** Nothing is missing: the document need not be read again until it changes. */
  readonly whole: boolean
  /** Where the document as a whole belongs; an item with this address has none of its own. */
  readonly home: string | null
}

/** More than any feed lists. */
export const ITEMS_MAX = 5_000

/** Signals: what was published about the world, and the ports between scrapers and the ledger. Times are Unix ms. */

/** One item as a source published it, in plain words. */
export interface Signal {
  /** The scraper that found it, like `feed:techcrunch`. */
  readonly source: string
  /** As the source names it: a guid, a number; null where it does not. */
  readonly externalId: string | null
  /** Without what only tracks readers; null where the source has none that leads to this item alone. */
  readonly url: string | null
  readonly title: string
  /** Plain text, may be empty. */
  readonly summary: string
  /** Never later than it was seen; null where the source does not say. */
  readonly publishedMs: number | null
  readonly seenMs: number
  /** Configured words that occur in it. */
  readonly keywords: readonly string[]
  /** Configured companies that it names. */
  readonly companies: readonly string[]
  /** The item as it came, as far as it is worth keeping. */
  readonly raw: Readonly<Record<string, unknown>>
  /** What makes it the same as another one. */
  readonly keys: readonly SignalKey[]
}

/** Two signals that share a key are one. `hash` is 32 hex digits. */
export interface SignalKey {
  /** `content`: words can come again; this holds for a while only. */
  readonly kind: 'url' | 'id' | 'content'
  readonly hash: string
}

/** What is remembered of a source's document, so that it need not be sent again. */
export interface DocumentState {
  /** As configured: another address is another document. */
  readonly url: string
  /** Where it was found in the end; only there the validators mean something. */
  readonly foundAt: string
  readonly etag: string | null
  readonly lastModified: string | null
  /** Of the bytes, 32 hex digits. */
  readonly bodyHash: string
}

/** What became of one source in one run. */
export interface SourceOutcome {
  readonly source: string
  readonly state: 'ok' | 'unchanged' | 'failed'
  readonly startedMs: number
  readonly durationMs: number
  readonly requests: number
  /** Of bodies, after decompression. */
  readonly bytes: number
  /** Items that the source listed. */
  readonly items: number
  /** Items that were too broken to be read. */
  readonly damaged: number
  /** Items that could be read but did not fit a limit. */
  readonly dropped: number
  readonly error: string | null
}

/** How many of the items were new, and how many were there already. */
export interface StoredSignals {
  readonly stored: number
  readonly repeated: number
}

export type RunTrigger = 'schedule' | 'command'

export interface FinishedRun {
  readonly state: 'succeeded' | 'failed'
  readonly finishedMs: number
  readonly error: string | null
}

/** A recorded market, as far as signals are compared with it. */
export interface MarketQuestion {
  readonly conditionId: string
  readonly question: string
}

export interface LinkableQuery {
  /** Only those seen since then. */
  readonly sinceMs: number
  /** Only those with fewer links. */
  readonly linksMax: number
  readonly limit: number
  /** Only those with a smaller id. */
  readonly before: number | null
}

/** A stored signal that may still be linked. */
export interface LinkableSignal {
  readonly signalId: number
  readonly title: string
  /** Its beginning. */
  readonly summary: string
  readonly keywords: readonly string[]
  readonly companies: readonly string[]
  /** Markets that it is linked to already. */
  readonly links: readonly string[]
}

/** A market that a signal is about, and why that is thought. */
export interface SignalLink {
  readonly signalId: number
  readonly conditionId: string
  /** Above 0; more is nearer. */
  readonly score: number
  /** In words, for people. */
  readonly reason: string
}

/** Everything that scraping stores. Each call is one transaction. */
export interface SignalStore {
  /** Notes that a run begins, with every source still waiting; runs of this kind that never ended are closed. */
  beginRun(run: {
    readonly recorderId: string
    readonly trigger: RunTrigger
    readonly startedMs: number
    readonly sources: readonly string[]
  }): Promise<number>
  loadDocumentState(source: string): Promise<DocumentState | null>
  /** Those of the hashes of keys that are stored. */
  loadKnownKeys(hashes: readonly string[]): Promise<ReadonlySet<string>>
  /**
   * Stores what one source gave: its items once each, what is remembered of its document (null: nothing new), and its
   * progress, all or nothing.
   */
  saveSource(
    runId: number,
    outcome: SourceOutcome,
    signals: readonly Signal[],
    document: DocumentState | null,
  ): Promise<StoredSignals>
  finishRun(runId: number, finished: FinishedRun): Promise<void>
  /** Open markets, the busiest first. */
  loadMarketQuestions(limit: number): Promise<readonly MarketQuestion[]>
  /** Signals that have room for links, the newest first. */
  loadLinkable(asked: LinkableQuery): Promise<readonly LinkableSignal[]>
  /** Returns how many were new. */
  saveLinks(links: readonly SignalLink[]): Promise<number>
}

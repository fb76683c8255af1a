import type { SignalStore } from '../core/signals.ts'
import type { Database, Session } from './database.ts'
import { endRun, insertRun, updateProgress } from './scrape-runs.ts'
import { insertLinks, selectLinkable, selectMarketQuestions } from './signal-links.ts'
import { insertSignals, selectDocument, selectKnownKeys, upsertDocument } from './signals.ts'

/** Runs work with the database, making contact first where it is missing. */
type Run = <T>(work: (database: Database) => Promise<T>) => Promise<T>

/** Everything that scraping stores and asks. Each call is one transaction. */
export function signalMethods(run: Run): SignalStore {
  const write = <T>(work: (session: Session) => Promise<T>) => run((database) => database.transaction(work))
  const read = <T>(work: (session: Session) => Promise<T>) =>
    run((database) => database.transaction(work, { readOnly: true }))
  return {
    beginRun: (begun) => write((session) => insertRun(session, begun)),
    loadDocumentState: (source) => read((session) => selectDocument(session, source)),
    loadKnownKeys: (hashes) => read((session) => selectKnownKeys(session, hashes)),
    saveSource: (runId, outcome, signals, document) =>
      write(async (session) => {
        const stored = await insertSignals(session, signals)
        const nowMs = outcome.startedMs + outcome.durationMs
        if (document !== null) await upsertDocument(session, outcome.source, document, nowMs)
        await updateProgress(session, runId, outcome, stored)
        return stored
      }),
    finishRun: (runId, finished) => write((session) => endRun(session, runId, finished)),
    loadMarketQuestions: (limit) => read((session) => selectMarketQuestions(session, limit)),
    loadLinkable: (asked) => read((session) => selectLinkable(session, asked)),
    saveLinks: (links) => write((session) => insertLinks(session, links)),
  }
}

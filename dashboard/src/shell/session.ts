import type { Session } from '../../../src/api/contract.ts'
import type { Live } from '../data/live.ts'

/** Ends the session here and at the recorder; when that cannot be reached, the page stays as it is. */
export async function signOut(live: Live): Promise<void> {
  try {
    await live.ask<Session>('api/session', { method: 'DELETE' })
  } catch {
    live.refresh() // what is wrong is then said by every card
    return
  }
  live.set({ signedOut: true })
}

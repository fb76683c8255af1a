import { createContext } from 'preact'
import { useContext, useEffect, useState } from 'preact/compat'
import type { Live, LiveState, Topic } from './live.ts'
import { POLL_MS, type Resource, type Snapshot } from './resource.ts'

export const LiveContext = createContext<Live | null>(null)

export function useLive(): Live {
  const live = useContext(LiveContext)
  if (live === null) throw new Error('there is no Live above this component')
  return live
}

export function useLiveState(): LiveState {
  const live = useLive()
  const [state, setState] = useState(live.state)
  useEffect(() => {
    setState(live.state)
    return live.listen(() => setState(live.state))
  }, [live])
  return state
}

const NOTHING: Snapshot<never> = { data: null, loadedMs: null, problem: null, missed: 0 }

/** What is known of an address of the API, kept up to date while the component is there; null asks for nothing. */
export function useResource<T>(path: string | null, topics: readonly Topic[] = []): Snapshot<T> {
  const live = useLive()
  const [held, setHeld] = useState<{ path: string | null; snapshot: Snapshot<T> }>({ path, snapshot: NOTHING })
  const key = topics.join(' ')
  useEffect(() => {
    if (path === null) return
    const resource: Resource<T> = live.acquire<T>(path, key === '' ? [] : (key.split(' ') as Topic[]))
    const take = () => setHeld({ path, snapshot: resource.snapshot })
    take()
    const leave = resource.listen(take)
    return () => {
      leave()
      live.release(path)
    }
  }, [live, path, key])
  return held.path === path ? held.snapshot : NOTHING
}

const MISSED_MAX = 2
/** Two polls and the time that an answer may take: a page that slept knows nothing of the time in between. */
const AGE_MS_MAX = 2 * POLL_MS + 8_000

/** Whether what is shown may no longer be so. Then nothing is green. */
export function isStale(snapshot: Snapshot<unknown>, live: Live): boolean {
  if (snapshot.loadedMs === null) return false
  if (snapshot.missed >= MISSED_MAX) return true
  return live.running && live.clock.nowMs() - snapshot.loadedMs > AGE_MS_MAX
}

/** The recorder's time, once a second while the page is live. Unix ms. */
export function useNow(): number {
  const live = useLive()
  const { paused, hidden } = useLiveState()
  const [nowMs, setNowMs] = useState(live.recorderNowMs())
  useEffect(() => {
    setNowMs(live.recorderNowMs())
    if (paused || hidden) return
    let cancel = () => {}
    const tick = () => {
      setNowMs(live.recorderNowMs())
      cancel = live.clock.after(1_000, tick)
    }
    cancel = live.clock.after(1_000, tick)
    return () => cancel()
  }, [live, paused, hidden])
  return nowMs
}

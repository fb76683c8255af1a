import { useEffect, useState } from 'preact/compat'
import type { Cycle, Cycles } from '../../../src/api/contract.ts'
import { useLive } from '../data/hooks.ts'

const LIMIT = 100

/** The newest cycles of several collectors by name, newest first; what could not be loaded yet is not in it. */
export function useCycles(names: readonly string[]): ReadonlyMap<string, readonly Cycle[]> {
  const live = useLive()
  const key = names.join(' ')
  const [cycles, setCycles] = useState<ReadonlyMap<string, readonly Cycle[]>>(new Map())
  useEffect(() => {
    const wanted = key === '' ? [] : key.split(' ')
    const held = wanted.map((name) => {
      const path = `api/collectors/${encodeURIComponent(name)}/cycles?limit=${LIMIT}`
      const resource = live.acquire<Cycles>(path, ['cycle'])
      const take = () => {
        const { data } = resource.snapshot
        if (data !== null) setCycles((known) => new Map(known).set(name, data.cycles))
      }
      take()
      return { path, leave: resource.listen(take) }
    })
    return () => {
      for (const { path, leave } of held) {
        leave()
        live.release(path)
      }
    }
  }, [live, key])
  return cycles
}

import { useEffect, useState } from 'preact/compat'

/** Where the reader is: a view, and what of it. In the fragment, so that the server needs to know one page only. */
export type Route =
  | { readonly view: 'overview' }
  | { readonly view: 'fetcher' }
  | { readonly view: 'markets' }
  | { readonly view: 'market'; readonly conditionId: string }
  | { readonly view: 'portfolios' }
  | { readonly view: 'portfolio'; readonly id: string }
  | { readonly view: 'unknown' }

export function readRoute(fragment: string): Route {
  const [view = '', id, ...rest] = fragment.replace(/^#\/?/, '').split('/')
  if (rest.length > 0) return { view: 'unknown' }
  if (view === 'markets' && id !== undefined && id !== '') {
    return /^0x[0-9a-fA-F]{62,64}$/.test(id) ? { view: 'market', conditionId: id } : { view: 'unknown' }
  }
  if (view === 'portfolios' && id !== undefined && id !== '') {
    return /^\d{1,9}$/.test(id) ? { view: 'portfolio', id } : { view: 'unknown' }
  }
  if (id !== undefined && id !== '') return { view: 'unknown' }
  if (view === '') return { view: 'overview' }
  return view === 'fetcher' || view === 'markets' || view === 'portfolios' ? { view } : { view: 'unknown' }
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => readRoute(location.hash))
  useEffect(() => {
    const read = () => setRoute(readRoute(location.hash))
    addEventListener('hashchange', read)
    return () => removeEventListener('hashchange', read)
  }, [])
  return route
}

import type { OpenEvents, Topic } from './live.ts'

const TOPICS: readonly Topic[] = ['status', 'cycle', 'log', 'gap', 'price', 'dropped']

/** Server-sent events of the API. The browser connects again by itself, unless it was refused. */
export const openEvents: OpenEvents = (heard, ended) => {
  const source = new EventSource('api/events')
  for (const topic of TOPICS) {
    source.addEventListener(topic, (event) => heard(topic, (event as MessageEvent).data))
  }
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) ended()
  })
  return source
}

import { useEffect, useRef, useState } from 'preact/compat'
import type { Chart, ChartData } from './chart.ts'

/** A chart, by a library that is loaded when the first one is looked at. */
export function Drawing({ data, words }: { data: ChartData; words: string }) {
  const place = useRef<HTMLDivElement>(null)
  const chart = useRef<Chart | null>(null)
  const newest = useRef(data)
  newest.current = data
  const [failed, setFailed] = useState(false)
  useEffect(() => {
    let left = false
    import('./chart.ts').then(
      ({ drawChart }) => {
        if (!left && place.current !== null) chart.current = drawChart(place.current, newest.current)
      },
      () => setFailed(true),
    )
    return () => {
      left = true
      chart.current?.end()
      chart.current = null
    }
  }, [])
  useEffect(() => chart.current?.show(data), [data])
  if (failed) return <p className="failure">The chart could not be loaded. Reload the page to try again.</p>
  return <div className="chart" ref={place} role="img" aria-label={words} />
}

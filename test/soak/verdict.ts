/** The daemon at one moment. */
export interface Sample {
  /** Since the first sample. */
  readonly seconds: number
  readonly rssMb: number
  readonly heapMb: number
  readonly descriptors: number
  readonly threads: number
  /** Timers that are pending in the daemon's main thread. */
  readonly timers: number
  /** Everything else that keeps its event loop alive: sockets, requests, ports to its threads. */
  readonly handles: number
  readonly frames: number
  readonly queueDepth: number
  readonly tokens: number
  readonly load: number
}

export interface Trend {
  readonly mean: number
  readonly max: number
  /** Least squares, a minute. */
  readonly perMinute: number
}

export interface Verdict {
  readonly minutes: number
  readonly warmUpMinutes: number
  readonly framesPerSecond: number
  readonly rssMb: Trend
  readonly heapMb: Trend
  readonly descriptors: Trend
  readonly timers: Trend
  readonly handles: Trend
  readonly threads: Trend
  readonly load: Trend
  /** What is wrong, in words; empty when nothing is. */
  readonly problems: readonly string[]
}

const RSS_MB_PER_MINUTE_MAX = 1
/** A count that wanders by less than this, or by this share of itself, over the whole time does not grow. */
const GROWTH_COUNT = 3
const GROWTH_SHARE = 0.05

/** Judges the samples after the warm-up. */
export function judge(samples: readonly Sample[], warmUpSeconds: number, wantedRate: number): Verdict {
  const warm = samples.filter(({ seconds }) => seconds >= warmUpSeconds)
  const [first, last] = [warm[0], warm.at(-1)]
  if (first === undefined || last === undefined || warm.length < 10) throw new Error('too few samples to judge')
  const minutes = (last.seconds - first.seconds) / 60
  const of = (name: keyof Sample) => trendOf(warm.map((sample) => [sample.seconds / 60, sample[name]]))
  const framesPerSecond = (last.frames - first.frames) / (last.seconds - first.seconds)
  const counts = {
    descriptors: of('descriptors'),
    timers: of('timers'),
    handles: of('handles'),
    threads: of('threads'),
  }
  const rssMb = of('rssMb')
  const problems: string[] = []
  if (!(rssMb.perMinute < RSS_MB_PER_MINUTE_MAX))
    problems.push(`RSS grows by ${rssMb.perMinute.toFixed(2)} MB a minute`)
  for (const [name, { mean, perMinute }] of Object.entries(counts)) {
    const growth = perMinute * minutes
    if (growth > Math.max(GROWTH_COUNT, mean * GROWTH_SHARE)) {
      problems.push(`${name} grow: ${growth.toFixed(1)} more over ${minutes.toFixed(0)} minutes`)
    }
  }
  if (framesPerSecond < wantedRate * 0.8) {
    problems.push(`only ${Math.round(framesPerSecond)} frames/s came: too little of a feed to prove anything`)
  }
  const [heapMb, load] = [of('heapMb'), of('load')]
  return { minutes, warmUpMinutes: warmUpSeconds / 60, framesPerSecond, rssMb, heapMb, ...counts, load, problems }
}

/** Of pairs of minutes and values. */
export function trendOf(points: readonly (readonly [number, number])[]): Trend {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const meanX = mean(points.map(([x]) => x))
  const meanY = mean(points.map(([, y]) => y))
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread
  return { mean: meanY, max: Math.max(...points.map(([, y]) => y)), perMinute: slope }
}

/** For people. */
export function describe(verdict: Verdict): string {
  const line = (name: string, { mean, max, perMinute }: Trend, unit = '') =>
    `  ${name.padEnd(12)} mean ${mean.toFixed(1)}${unit}, at most ${max.toFixed(1)}${unit}, ` +
    `${perMinute >= 0 ? '+' : ''}${perMinute.toFixed(3)}${unit} a minute`
  const { minutes, warmUpMinutes, framesPerSecond, problems } = verdict
  return [
    `${minutes.toFixed(1)} min after ${warmUpMinutes.toFixed(1)} to warm up, ${Math.round(framesPerSecond)} frames/s`,
    line('RSS', verdict.rssMb, ' MB'),
    line('heap', verdict.heapMb, ' MB'),
    line('descriptors', verdict.descriptors),
    line('timers', verdict.timers),
    line('handles', verdict.handles),
    line('threads', verdict.threads),
    line('load', verdict.load),
    problems.length === 0 ? 'PASSED' : `FAILED: ${problems.join('; ')}`,
  ].join('\n')
}

import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

export interface ChartData {
  /** A price with trades; hours of prices; a value by the UTC day with what was paid, and days that lack something. */
  readonly kind: 'line' | 'candles' | 'value'
  /** Unix seconds, then one column of values per series. */
  readonly columns: readonly (readonly (number | null | undefined)[])[]
  /** How a value is said, and how a mark of the axis is. */
  readonly say: (value: number) => string
  readonly mark: (value: number) => string
}

export interface Chart {
  show(data: ChartData): void
  end(): void
}

const HEIGHT = 300

/** Draws into the element, in its colours and at its width, until it is ended. */
export function drawChart(place: HTMLElement, first: ChartData): Chart {
  let data = first
  let plot = create(place, data)
  const redraw = () => {
    plot.destroy()
    plot = create(place, data)
  }
  const widths = new ResizeObserver(() => {
    if (place.clientWidth > 0) plot.setSize({ width: place.clientWidth, height: HEIGHT })
  })
  widths.observe(place)
  const scheme = matchMedia('(prefers-color-scheme: dark)')
  scheme.addEventListener('change', redraw)
  addEventListener('themechange', redraw)
  return {
    show(next) {
      const isOther = next.kind !== data.kind
      data = next
      if (isOther) redraw()
      else plot.setData(next.columns as UPlot.AlignedData)
    },
    end() {
      widths.disconnect()
      scheme.removeEventListener('change', redraw)
      removeEventListener('themechange', redraw)
      plot.destroy()
    },
  }
}

function create(place: HTMLElement, { kind, columns, say, mark }: ChartData): UPlot {
  const colour = colourOf(place)
  const axis = {
    stroke: colour('--soft'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
    font: '12px system-ui, sans-serif',
  }
  const words: Words = (_, value) => (value === null ? '–' : say(value))
  const options: UPlot.Options = {
    width: Math.max(200, place.clientWidth),
    height: HEIGHT,
    series: SERIES[kind](colour, words),
    axes: [
      { ...axis, values: (_plot, ticks, _axis, _space, step) => ticks.map(timeMark(kind, step)) },
      { ...axis, size: kind === 'value' ? 76 : 54, values: (_, ticks) => ticks.map(mark) },
    ],
    scales: {
      x: { range: (plot, least, most) => aroundTime(kind, plot.data[0], [least, most]) },
      y: { range: (_, least, most) => (kind === 'value' ? aroundMoney : aroundCents)(least, most) },
    },
    hooks: kind === 'candles' ? { draw: [(plot) => drawCandles(plot, colour)] } : {},
    // days are those of the recorder, in UTC
    ...(kind === 'value' ? { tzDate: (seconds: number) => UPlot.tzDate(new Date(1_000 * seconds), 'Etc/UTC') } : {}),
  }
  return new UPlot(options, columns as UPlot.AlignedData, place)
}

/** A mark of the time axis: days by their date, shorter steps by the clock. */
function timeMark(kind: ChartData['kind'], stepSeconds: number): (seconds: number) => string {
  const format: Intl.DateTimeFormatOptions =
    stepSeconds >= 86_400
      ? { day: 'numeric', month: 'short' }
      : { hour: '2-digit', minute: '2-digit', ...(stepSeconds < 60 ? { second: '2-digit' } : {}) }
  const { format: say } = new Intl.DateTimeFormat('en-GB', kind === 'value' ? { ...format, timeZone: 'UTC' } : format)
  return (seconds) => say(1_000 * seconds)
}

/** A candle is an hour wide; for a point alone the library would show years. Unix seconds. */
function aroundTime(
  kind: ChartData['kind'],
  times: ArrayLike<number>,
  [least, most]: [number | null, number | null],
): [number, number] {
  const [from, to] = times.length === 1 ? [times[0] ?? 0, times[0] ?? 0] : [least ?? 0, most ?? 1]
  const room = kind === 'candles' ? 3_600 : from === to ? 60 : 0
  return [from - room, to + room]
}

/** A price that stands still is a line in the middle, not a storm of thousandths. */
function aroundCents(least: number | null, most: number | null): [number, number] {
  const [low, high] = [least ?? 0, most ?? 100]
  const room = Math.max(0.5, (high - low) * 0.08)
  return [Math.max(0, low - room), Math.min(100, high + room)]
}

function aroundMoney(least: number | null, most: number | null): [number, number] {
  const [low, high] = [least ?? 0, most ?? 1]
  const room = Math.max(0.01, Math.abs(high) * 0.01, (high - low) * 0.08)
  return [low - room, high + room]
}

type Colour = (name: string) => string
type Words = (plot: UPlot, value: number | null) => string

/** The values of the page's own colours, as a canvas wants them. */
function colourOf(place: HTMLElement): Colour {
  return (name) => {
    const probe = document.createElement('i')
    probe.style.color = `var(${name})`
    place.append(probe)
    const value = getComputedStyle(probe).color
    probe.remove()
    return value
  }
}

const SERIES: Readonly<Record<ChartData['kind'], (colour: Colour, words: Words) => UPlot.Series[]>> = {
  line(colour, value) {
    const stepped = UPlot.paths.stepped?.({ align: 1 })
    const line = { stroke: colour('--accent'), width: 2, points: { show: false } }
    return [
      { label: 'Time', value: '{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}' },
      { label: 'Price', value, ...line, ...(stepped === undefined ? {} : { paths: stepped }) },
      { label: 'Trade', value, ...dots(colour('--warn')) },
    ]
  },
  candles(_, value) {
    const hidden = { value, paths: () => null, points: { show: false } }
    return [
      { label: 'Hour', value: '{YYYY}-{MM}-{DD} {HH}:{mm}' },
      ...['Open', 'High', 'Low', 'Close'].map((label) => ({ label, ...hidden })),
    ]
  },
  value(colour, value) {
    const paid = { stroke: colour('--soft'), width: 1.5, dash: [5, 4], points: { show: false } }
    return [
      { label: 'Day', value: '{YYYY}-{MM}-{DD}' },
      { label: 'Value', value, stroke: colour('--accent'), width: 2, points: { show: true, size: 5 } },
      { label: 'Invested', value, ...paid },
      { label: 'Incomplete', value, ...dots(colour('--warn')) },
    ]
  },
}

function dots(colour: string): Omit<UPlot.Series, 'value'> {
  const points = { show: true, size: 5, width: 1, stroke: colour, fill: colour }
  return { stroke: colour, width: 0, paths: () => null, points }
}

function drawCandles(plot: UPlot, colour: Colour): void {
  const [hours, opens, highs, lows, closes] = plot.data
  if (closes === undefined) return
  const { ctx } = plot
  const hourWidth = Math.abs(plot.valToPos(3_600, 'x', true) - plot.valToPos(0, 'x', true))
  const width = Math.min(16, Math.max(2, hourWidth * 0.6))
  ctx.save()
  hours.forEach((hour, at) => {
    const [open, high, low, close] = [opens?.[at], highs?.[at], lows?.[at], closes[at]]
    if (open == null || high == null || low == null || close == null) return
    const x = plot.valToPos(hour, 'x', true)
    const y = (value: number) => plot.valToPos(value, 'y', true)
    // hollow when it rose, filled when it fell: readable without colours
    const rose = close >= open
    ctx.strokeStyle = ctx.fillStyle = colour(rose ? '--good' : '--bad')
    ctx.beginPath()
    ctx.moveTo(x, y(high))
    ctx.lineTo(x, y(Math.max(open, close)))
    ctx.moveTo(x, y(Math.min(open, close)))
    ctx.lineTo(x, y(low))
    ctx.stroke()
    const top = y(Math.max(open, close))
    const height = Math.max(1, y(Math.min(open, close)) - top)
    if (rose) ctx.strokeRect(x - width / 2, top, width, height)
    else ctx.fillRect(x - width / 2, top, width, height)
  })
  ctx.restore()
}

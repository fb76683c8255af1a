/** Progress on one line of a terminal's stderr; nothing elsewhere. */
export interface ProgressLine {
  show(text: string, done?: number, total?: number): void
  clear(): void
}

const WIDTH = 24
const INTERVAL_MS = 100
/** To the start of the line, and nothing to the right of it. */
const CLEAR_LINE = '\r\u001b[K'

export function createProgressLine(nowMs: () => number, stream: NodeJS.WriteStream = process.stderr): ProgressLine {
  const isTerminal = stream.isTTY === true
  let shownMs = Number.NEGATIVE_INFINITY
  return {
    show(text, done, total) {
      if (!isTerminal || nowMs() - shownMs < INTERVAL_MS) return
      shownMs = nowMs()
      const line = total === undefined || total === 0 ? text : `${bar((done ?? 0) / total)} ${text}`
      stream.write(CLEAR_LINE + line.slice(0, Math.max(20, (stream.columns ?? 80) - 1)))
    },
    clear() {
      if (isTerminal && shownMs > Number.NEGATIVE_INFINITY) stream.write(CLEAR_LINE)
    },
  }
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * WIDTH)
  const percent = String(Math.floor(Math.min(1, share) * 100)).padStart(3)
  return `[${'#'.repeat(full)}${'.'.repeat(WIDTH - full)}] ${percent} %`
}

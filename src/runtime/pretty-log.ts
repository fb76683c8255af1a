import { createColors } from 'picocolors'

const HIDDEN_KEYS = new Set(['level', 'time', 'message', 'err', 'collector'])

/** Turns one JSON log line into one line for people at a terminal. Control characters never get through. */
export function prettyLine(json: string, options: { readonly colors?: boolean }): string {
  const colors = createColors(options.colors ?? false)
  const entry = JSON.parse(json) as Record<string, unknown>
  const level = String(entry['level'])
  const paint = { debug: colors.dim, warn: colors.yellow, error: colors.red, fatal: colors.red }[level] ?? String
  const at = new Date(String(entry['time']))
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
  const rest = Object.entries(entry)
    .filter(([key]) => !HIDDEN_KEYS.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  if (level === 'error' || level === 'fatal') rest.push(...stackOf(entry['err']))
  const message = plain(String(entry['message'] ?? ''))
  const tail = rest.length === 0 ? '' : ` ${colors.dim(plain(rest.join(' ')))}`
  return `${colors.dim(time)} ${paint(level.toUpperCase().padEnd(5))} ${paint(message)}${tail}\n`
}

/** Where a bug came from, on the same line; errors that say what is wrong in words need no stack. */
function stackOf(error: unknown): string[] {
  if (typeof error !== 'object' || error === null || !('stack' in error)) return []
  const type = 'type' in error ? String(error.type) : ''
  if (type === 'TransientError' || type === 'PermanentError') return []
  const first = String(error.stack)
    .split('\n')
    .find((line) => line.trim().startsWith('at '))
  return first === undefined ? [] : [first.trim()]
}

function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the point
  return text.replace(/\s*[\r\n]+\s*/g, ' ').replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '·')
}

const MASK = '***'

/**
 * The text without what must stay secret: passwords in URLs, bearer tokens, keys in queries. It masks too much rather
 * than too little, and every repetition has a bound, so that a long line cannot take long.
 */
export function redactText(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/?#@"'<>]{0,100}):[^\s"'<>]{1,256}@/gi, `$1:${MASK}@`)
    .replace(/\b(bearer|basic) {1,3}[\w+/=.~-]{8,2000}/gi, `$1 ${MASK}`)
    .replace(/([?&](?:api_?key|key|token|access_token|secret|password|signature)=)[^&\s#"'<>]{1,2000}/gi, `$1${MASK}`)
    .replace(/\b(password|passwd|secret|pgpassword)( ?[=:] ?)[^\s,;]{1,256}/gi, `$1$2${MASK}`)
}

// Only whole names: `token`, `token_id` and `tokens` are what this program is about.
const SECRET_KEY = new RegExp(
  `^(${[
    'pass(word|wd)',
    'pgpassword',
    'secret',
    'authorization',
    '(set-)?cookie',
    '(api|private)_?key',
    '(api|access|refresh)_?token',
    'session',
  ].join('|')})$`,
  'i',
)

const DEPTH_MAX = 5
const ENTRIES_MAX = 50
const NODES_MAX = 500
const TEXT_LENGTH_MAX = 4_000
const TEXTS_LENGTH_MAX = 16_000

/**
 * A copy of `value` that is safe to write anywhere: plain data, secrets masked by `hide`, depth, size and text
 * bounded, errors with their causes. Never throws.
 */
export function redact(value: unknown, hide: (text: string) => string = redactText): unknown {
  let nodes = 0
  let textLeft = TEXTS_LENGTH_MAX
  const text = (raw: string): string => {
    const most = Math.min(TEXT_LENGTH_MAX, textLeft)
    textLeft -= Math.min(raw.length, most)
    return raw.length <= most ? hide(raw) : `${hide(raw.slice(0, most))}… (${raw.length} characters)`
  }

  const copyOf = (item: unknown, depth: number): unknown => {
    nodes += 1
    if (nodes > NODES_MAX) return '[more]'
    if (typeof item === 'string') return text(item)
    if (typeof item === 'bigint') return item.toString()
    if (typeof item === 'function' || typeof item === 'symbol') return `[${typeof item}]`
    if (typeof item !== 'object' || item === null) return item
    if (depth >= DEPTH_MAX) return '[deep]'
    if (item instanceof Error) return copyOfError(item, depth)
    if (item instanceof Date) return Number.isNaN(item.getTime()) ? null : item.toISOString()
    if (item instanceof URL) return text(item.href)
    if (ArrayBuffer.isView(item)) return `[${item.byteLength} bytes]`
    if (Array.isArray(item)) return item.slice(0, ENTRIES_MAX).map((part) => copyOf(part, depth + 1))
    const copy: Record<string, unknown> = {}
    for (const [key, part] of Object.entries(item).slice(0, ENTRIES_MAX)) {
      copy[key] = SECRET_KEY.test(key) && part !== null && part !== undefined ? MASK : copyOf(part, depth + 1)
    }
    return copy
  }

  const copyOfError = (error: Error, depth: number): Record<string, unknown> => {
    const copy: Record<string, unknown> = { type: error.name, message: text(error.message) }
    if ('code' in error && typeof error.code === 'string') copy['code'] = error.code
    if (error.stack !== undefined) copy['stack'] = text(error.stack)
    if (error.cause !== undefined) copy['cause'] = copyOf(error.cause, depth + 1)
    return copy
  }

  try {
    return copyOf(value, 0)
  } catch {
    return '[unreadable]'
  }
}

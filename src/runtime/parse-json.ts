const DEPTH_MAX = 100
const PRUNED = '[nested deeper than 100 levels]'

/**
 * `JSON.parse` for what others send. What is nested deeper than 100 levels becomes a text that says so: writing such a
 * value as JSON again overflows the stack, and would cost everything that came with it. Throws SyntaxError.
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  prune(value, 1)
  return value
}

function prune(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return
  const parts = value as Record<string, unknown>
  // Arrays too: their indexes are keys.
  for (const key in parts) {
    const part = parts[key]
    if (typeof part !== 'object' || part === null) continue
    if (depth === DEPTH_MAX) parts[key] = PRUNED
    else prune(part, depth + 1)
  }
}

/** The first frame of a connection. */
export interface FirstFrame {
  readonly tokens: readonly string[]
  readonly dump: boolean
  readonly custom: boolean | null
}

/** Every later frame. */
export interface LaterFrame {
  readonly operation: 'subscribe' | 'unsubscribe'
  readonly tokens: readonly string[]
  /** null leaves it as it is. */
  readonly custom: boolean | null
}

/** The initial form, `"type":"market"`; null for anything else. */
export function parseFirst(text: string): FirstFrame | null {
  const frame = parseObject(text)
  if (frame === null || frame['type'] !== 'market') return null
  const tokens = texts(frame['assets_ids'])
  if (tokens === null) return null
  return { tokens, dump: frame['initial_dump'] !== false, custom: flag(frame['custom_feature_enabled']) }
}

/** The operation form; null for anything else, the initial form included. */
export function parseLater(text: string): LaterFrame | null {
  const frame = parseObject(text)
  if (frame === null) return null
  const operation = frame['operation']
  if (operation !== 'subscribe' && operation !== 'unsubscribe') return null
  const tokens = texts(frame['assets_ids'])
  if (tokens === null) return null
  return { operation, tokens, custom: flag(frame['custom_feature_enabled']) }
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

function texts(value: unknown): readonly string[] | null {
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : null
}

function flag(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null
}

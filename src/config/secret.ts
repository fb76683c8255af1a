/** A value that must never reach a log, a page or an error: it has to be asked for by name. */
export interface Secret {
  reveal(): string
  /** What may be shown instead. */
  readonly masked: string
  toString(): string
  toJSON(): string
}

export function secret(value: string, masked = '***'): Secret {
  return { masked, reveal: () => value, toString: () => masked, toJSON: () => masked }
}

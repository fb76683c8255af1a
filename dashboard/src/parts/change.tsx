interface ChangeProps {
  readonly by: number | null
  /** How much, of what is not below 0. */
  readonly words: (amount: number) => string
}

/** Up or down, by arrow, sign and colour. */
export function Change({ by, words }: ChangeProps) {
  if (by === null || !Number.isFinite(by)) return <span className="quiet">–</span>
  if (by === 0) return <span className="quiet">±{words(0)}</span>
  const text = `${by > 0 ? '▲ +' : '▼ −'}${words(Math.abs(by))}`
  return <span className={by > 0 ? 'up' : 'down'}>{text}</span>
}

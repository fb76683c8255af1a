/** Identifiers are branded text. A token id has up to 78 digits and must never become a number. */
declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** Outcome token id (also asset id, position id): decimal text, 1 to 78 digits. */
export type TokenId = Brand<string, 'TokenId'>
/** Condition id of a market: `0x` and 62 to 64 hex digits, kept as the venue writes it. */
export type ConditionId = Brand<string, 'ConditionId'>

const TOKEN_ID = /^\d{1,78}$/
const CONDITION_ID = /^0x[0-9a-fA-F]{62,64}$/

export function isTokenId(value: unknown): value is TokenId {
  return typeof value === 'string' && TOKEN_ID.test(value)
}

export function isConditionId(value: unknown): value is ConditionId {
  return typeof value === 'string' && CONDITION_ID.test(value)
}

/** Throws TypeError when the text is not a token id. */
export function parseTokenId(text: string): TokenId {
  if (!isTokenId(text)) throw new TypeError(`not a token id: ${text.slice(0, 100)}`)
  return text
}

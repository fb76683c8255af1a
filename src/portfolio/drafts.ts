import { ASSET_TYPES, type AssetType, currencyPairOf, isAssetType } from '../core/assets.ts'
import type { Problem, Side, TransactionDraft } from '../core/portfolio.ts'

/** A transaction as text, from a command line, a file or a page. Empty text is the same as nothing. */
export interface DraftFields {
  readonly symbol?: string | undefined
  readonly side?: string | undefined
  readonly quantity?: string | undefined
  readonly price?: string | undefined
  readonly fee?: string | undefined
  readonly time?: string | undefined
  readonly notes?: string | undefined
  readonly exchange_rate?: string | undefined
  readonly type?: string | undefined
  readonly currency?: string | undefined
  readonly name?: string | undefined
}

export const DRAFT_FIELDS = [
  ...(['symbol', 'side', 'quantity', 'price', 'fee', 'time', 'notes', 'exchange_rate'] as const),
  ...(['type', 'currency', 'name'] as const),
] satisfies readonly (keyof DraftFields)[]

export type ReadDraft =
  | { readonly ok: true; readonly draft: TransactionDraft }
  | { readonly ok: false; readonly problems: readonly Problem[] }

const AMOUNT = /^\d{1,20}(?:\.\d{1,18})?$/
const CURRENCY = /^[A-Z]{3}$/
const SYMBOL = /^[A-Z0-9^][A-Z0-9.^=&_-]{0,39}$/
const TOKEN = /^\d{1,78}$/
/** So many digits are no stock. */
const TOKEN_DIGITS_MIN = 20
const NOTES_LENGTH_MAX = 1_000
const NAME_LENGTH_MAX = 200
/** Clocks differ. */
const FUTURE_MS_MAX = 60_000
const DAY_OR_TIME = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2}))?$/
const OLDEST_MS = Date.UTC(1970, 0, 2)

/** Reads one transaction; says everything that is wrong with it. Without a time it happened now. */
export function readDraft(fields: DraftFields, line: number | null, nowMs: number): ReadDraft {
  const problems: Problem[] = []
  const wrong = (message: string) => {
    problems.push({ line, message })
  }
  const text = (key: keyof DraftFields) => fields[key]?.trim() || null
  const amount = (key: 'quantity' | 'price' | 'fee' | 'exchange_rate', fallback: string | null) => {
    const value = text(key) ?? fallback
    if (value === null) wrong(`${key} is missing`)
    else if (!AMOUNT.test(value)) wrong(`${key} is not a number like 12.5: ${shown(value)}`)
    return value ?? ''
  }
  const asset = readAsset(text, wrong)
  const side = text('side')?.toLowerCase() ?? null
  if (side !== 'buy' && side !== 'sell')
    wrong(side === null ? 'side is missing' : `side is buy or sell, not ${shown(side)}`)
  const quantity = amount('quantity', null)
  const price = amount('price', null)
  const fee = amount('fee', '0')
  const exchangeRate = text('exchange_rate') === null ? null : amount('exchange_rate', null)
  if (AMOUNT.test(quantity) && isZero(quantity)) wrong('quantity must be above 0')
  if (exchangeRate !== null && AMOUNT.test(exchangeRate) && isZero(exchangeRate)) wrong('exchange_rate must be above 0')
  const executedMs = readTime(text('time'), nowMs, wrong)
  const notes = text('notes')
  if ((notes?.length ?? 0) > NOTES_LENGTH_MAX) wrong(`notes are longer than ${NOTES_LENGTH_MAX} characters`)
  if (problems.length > 0) return { ok: false, problems }
  const draft = { ...asset, side: side as Side, quantity, price, fee, executedMs, notes, exchangeRate, line }
  return { ok: true, draft }
}

/** An asset as text: its symbol, and what can be told from it. */
export function readAsset(
  text: (key: 'symbol' | 'type' | 'currency' | 'name') => string | null,
  wrong: (message: string) => void,
): Pick<TransactionDraft, 'symbol' | 'type' | 'currency' | 'name'> {
  const written = text('symbol')?.toUpperCase() ?? ''
  const type = text('type')?.toLowerCase() ?? null
  const known = type === null ? typeOf(written) : isAssetType(type) ? type : 'stock'
  if (type !== null && !isAssetType(type)) wrong(`type is one of ${ASSET_TYPES.join(', ')}, not ${shown(type)}`)
  if (written === '') wrong('symbol is missing')
  else if (known === 'outcome' && !TOKEN.test(written)) wrong(`symbol is not a token id: ${shown(written)}`)
  else if (known !== 'outcome' && !SYMBOL.test(written)) wrong(`symbol is not one: ${shown(written)}`)
  else if (known === 'currency' && currencyPairOf(written) === null) {
    wrong(`symbol is not a pair like EURUSD=X: ${shown(written)}`)
  }
  const currency = text('currency')?.toUpperCase() ?? null
  if (currency !== null && !CURRENCY.test(currency)) wrong(`currency is not one like USD: ${shown(currency)}`)
  const name = text('name')
  if ((name?.length ?? 0) > NAME_LENGTH_MAX) wrong(`name is longer than ${NAME_LENGTH_MAX} characters`)
  return { symbol: written, type: known, currency: currency ?? currencyOf(written, known), name }
}

/** What a symbol says of its type; a stock when it says nothing. */
function typeOf(symbol: string): AssetType {
  if (TOKEN.test(symbol) && symbol.length >= TOKEN_DIGITS_MIN) return 'outcome'
  if (symbol.endsWith('=X')) return 'currency'
  if (symbol.endsWith('=F')) return 'commodity'
  return /^[A-Z0-9]{2,10}-(?:USD|EUR|GBP|JPY|BTC|ETH)$/.test(symbol) ? 'crypto' : 'stock'
}

/** What a symbol says of its currency; for the others the price source does. */
function currencyOf(symbol: string, type: AssetType): string | null {
  if (type === 'outcome') return 'USD'
  if (type === 'currency') return currencyPairOf(symbol)?.quote ?? null
  return null
}

function readTime(text: string | null, nowMs: number, wrong: (message: string) => void): number {
  if (text === null) return nowMs
  const timeMs = DAY_OR_TIME.test(text) ? Date.parse(text.replace(' ', 'T')) : Number.NaN
  if (Number.isNaN(timeMs) || timeMs < OLDEST_MS || isOtherDay(text)) {
    wrong(`time is not one like 2026-05-01 or 2026-05-01T14:30:00Z: ${shown(text)}`)
  } else if (timeMs > nowMs + FUTURE_MS_MAX) {
    wrong(`time is in the future: ${shown(text)}`)
  }
  return timeMs
}

/** `2026-02-30` is read as the 2nd of March; nobody means that. */
function isOtherDay(text: string): boolean {
  const day = text.slice(0, 10)
  return new Date(Date.parse(day)).toISOString().slice(0, 10) !== day
}

function isZero(amount: string): boolean {
  return /^[0.]+$/.test(amount)
}

function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/** What is wrong with the name of a portfolio; null when nothing is. */
export function portfolioNameProblem(name: string): string | null {
  if (name.trim() !== name || name === '') return 'the name of a portfolio is text without spaces around it'
  if (name.length > 100) return 'the name of a portfolio has 100 characters at most'
  if (/\p{Cc}/u.test(name)) return 'the name of a portfolio has no control characters'
  return /^\d+$/.test(name) ? 'the name of a portfolio is not a number' : null
}

/** What is wrong with the currency of a portfolio; null when nothing is. */
export function currencyProblem(currency: string): string | null {
  return CURRENCY.test(currency) ? null : `currency is not one like USD: ${shown(currency)}`
}

import type { NewTransaction } from '../../../src/api/contract.ts'

/** A transaction as it is typed in. */
export interface Entry {
  readonly symbol: string
  readonly side: 'buy' | 'sell'
  readonly quantity: string
  readonly price: string
  readonly fee: string
  /** As a field for local times has it, `2026-05-01T14:30`; empty: now. */
  readonly time: string
  readonly notes: string
  readonly exchange_rate: string
  readonly currency: string
}

export type Field = keyof Entry
export type Problems = Readonly<Partial<Record<Field, string>>>

export const NO_ENTRY: Entry = {
  symbol: '',
  side: 'buy',
  quantity: '',
  price: '',
  fee: '',
  time: '',
  notes: '',
  exchange_rate: '',
  currency: '',
}

const AMOUNT = /^\d{1,20}(?:\.\d{1,18})?$/
/** Clocks differ; the recorder looks again. */
const FUTURE_MS_MAX = 60_000

/** What can be seen to be wrong before it is sent, by field. The recorder has the last word. */
export function problemsOf(entry: Entry, nowMs: number): Problems {
  const found: Partial<Record<Field, string>> = {}
  if (entry.symbol.trim() === '') found.symbol = 'Which asset was it?'
  const look = (field: 'quantity' | 'price' | 'fee' | 'exchange_rate', missing: string | null) => {
    const text = entry[field].trim()
    if (text === '') {
      if (missing !== null) found[field] = missing
    } else if (!AMOUNT.test(text)) found[field] = 'Write it as a number like 12.5.'
    else if ((field === 'quantity' || field === 'exchange_rate') && Number(text) === 0)
      found[field] = 'It must be above 0.'
  }
  look('quantity', 'How much was it?')
  look('price', 'What did one of it cost?')
  look('fee', null)
  look('exchange_rate', null)
  const currency = entry.currency.trim()
  if (currency !== '' && !/^[A-Za-z]{3}$/.test(currency)) found.currency = 'Write it as three letters like USD.'
  const timeMs = entry.time === '' ? nowMs : Date.parse(entry.time)
  if (Number.isNaN(timeMs)) found.time = 'Write it as a day and a time.'
  else if (timeMs > nowMs + FUTURE_MS_MAX) found.time = 'This is in the future.'
  return found
}

/** As the API takes it. */
export function toTransaction(entry: Entry): NewTransaction {
  const filled = Object.entries(entry).flatMap(([field, value]) => (value.trim() === '' ? [] : [[field, value.trim()]]))
  const transaction = Object.fromEntries(filled) as NewTransaction
  return entry.time === '' ? transaction : { ...transaction, time: new Date(entry.time).toISOString() }
}

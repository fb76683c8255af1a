import { useEffect, useId, useRef, useState } from 'preact/compat'
import type { AddedTransaction, Position } from '../../../src/api/contract.ts'
import { useLive } from '../data/hooks.ts'
import { RequestError } from '../data/request.ts'
import { amount, shortSymbol } from '../words.ts'
import { type Entry, type Field, NO_ENTRY, type Problems, problemsOf, toTransaction } from './entry.ts'
import { EntryField } from './entry-field.tsx'

interface AddTransactionProps {
  readonly id: string
  readonly positions: readonly Position[]
}

/** What became of the newest attempt. */
type Outcome =
  | { readonly kind: 'none' | 'sending' }
  | { readonly kind: 'stored'; readonly words: string }
  | { readonly kind: 'refused'; readonly words: string }

/** What is typed, what is wrong with it, and what becomes of it. */
function useEntry(id: string) {
  const live = useLive()
  const [entry, setEntry] = useState(NO_ENTRY)
  const [problems, setProblems] = useState<Problems>({})
  const [outcome, setOutcome] = useState<Outcome>({ kind: 'none' })
  const change = (field: Field, value: string) => {
    setEntry((now) => ({ ...now, [field]: value }))
    setOutcome({ kind: 'none' })
  }
  const send = async () => {
    setOutcome({ kind: 'sending' })
    try {
      const body = toTransaction(entry)
      const stored = await live.ask<AddedTransaction>(`api/portfolios/${id}/transactions`, { method: 'POST', body })
      setOutcome({ kind: 'stored', words: storedInWords(entry, stored, live.state.paused) })
      setEntry({ ...NO_ENTRY, side: entry.side })
      live.refresh()
    } catch (error) {
      if (error instanceof RequestError && error.status === 401) return live.set({ signedOut: true })
      setOutcome({ kind: 'refused', words: refusedInWords(error) })
      setProblems(problemsOfRefusal(error))
    }
  }
  const submit = async (event: Event) => {
    event.preventDefault()
    if (outcome.kind === 'sending') return
    const found = problemsOf(entry, live.recorderNowMs())
    setProblems(found)
    setOutcome({ kind: 'none' })
    if (Object.keys(found).length === 0) await send()
  }
  return { entry, problems, outcome, change, submit }
}

/** A purchase or a sale, looked at here and by the recorder. */
export function AddTransaction({ id, positions }: AddTransactionProps) {
  const titleId = useId()
  const symbolsId = useId()
  const form = useRef<HTMLFormElement>(null)
  const { entry, problems, outcome, change, submit } = useEntry(id)
  const firstWrong = Object.keys(NO_ENTRY).find((field) => problems[field as Field] !== undefined)
  useEffect(() => {
    if (firstWrong !== undefined) form.current?.querySelector<HTMLElement>(`[name="${firstWrong}"]`)?.focus()
  }, [problems, firstWrong])
  const held = positions.find(({ symbol }) => symbol === entry.symbol.trim().toUpperCase())
  const field = (name: Exclude<Field, 'side'>, label: string) => ({
    name,
    label,
    value: entry[name],
    problem: problems[name],
    onValue: change,
  })
  return (
    <section className="card" aria-labelledby={titleId}>
      <header className="card-head">
        <h2 id={titleId}>Add a transaction</h2>
      </header>
      <form className="entry" noValidate ref={form} onSubmit={(event) => void submit(event)}>
        <Side side={entry.side} onSide={(side) => change('side', side)} />
        <EntryField {...field('symbol', 'Symbol')} list={symbolsId} hint={heldInWords(held)} isWide />
        <datalist id={symbolsId}>
          {positions.map(({ symbol, name }) => (
            <option key={symbol} value={symbol} label={name} />
          ))}
        </datalist>
        <EntryField {...field('quantity', 'Quantity')} inputMode="decimal" />
        <EntryField {...field('price', 'Price of one')} inputMode="decimal" hint="in the currency of the asset" />
        <EntryField {...field('fee', 'Fee')} inputMode="decimal" hint="empty: none" />
        <EntryField {...field('time', 'Time')} type="datetime-local" hint="empty: now" />
        <details className="entry-more">
          <summary>More</summary>
          <div className="entry">
            <EntryField
              {...field('exchange_rate', 'Exchange rate')}
              inputMode="decimal"
              hint="empty: that of the day"
            />
            <EntryField {...field('currency', 'Currency of the asset')} hint="of a new one, where it is not known" />
            <EntryField {...field('notes', 'Notes')} isWide />
          </div>
        </details>
        <p className="entry-end">
          <button type="submit" className="primary" disabled={outcome.kind === 'sending'}>
            {outcome.kind === 'sending' ? 'Storing …' : entry.side === 'buy' ? 'Add the purchase' : 'Add the sale'}
          </button>
        </p>
        <p className="refused" role="alert">
          {outcome.kind === 'refused' && outcome.words}
        </p>
        <p className="stored" role="status">
          {outcome.kind === 'stored' && outcome.words}
        </p>
      </form>
    </section>
  )
}

function Side({ side, onSide }: { side: Entry['side']; onSide(side: Entry['side']): void }) {
  return (
    <fieldset className="outcomes entry-wide">
      <legend className="unseen">Side</legend>
      {(['buy', 'sell'] as const).map((one) => (
        <label key={one}>
          <input type="radio" name="side" checked={side === one} onChange={() => onSide(one)} />
          <span>{one === 'buy' ? 'Bought' : 'Sold'}</span>
        </label>
      ))}
    </fieldset>
  )
}

function heldInWords(position: Position | undefined): string | undefined {
  return position === undefined ? undefined : `${amount(position.quantity)} held now`
}

function storedInWords({ side, symbol, quantity }: Entry, { new_assets }: AddedTransaction, paused: boolean): string {
  const what = `${quantity.trim()} ${shortSymbol(symbol.trim().toUpperCase())}`
  return [
    `Stored: ${side === 'buy' ? 'bought' : 'sold'} ${what}.`,
    ...(new_assets.length > 0 ? ['The asset is new: its price comes with the next update.'] : []),
    ...(paused ? ['The page is paused and still shows what was before.'] : []),
  ].join(' ')
}

/** Whether it was stored, as far as that is known. */
function refusedInWords(error: unknown): string {
  if (!(error instanceof RequestError)) return `Not stored: ${String(error)}.`
  if (error.status !== 0) return `Not stored: ${error.message}.`
  return `${error.message}. Whether it was stored is not known: look at the transactions before trying again.`
}

/** The field that the recorder objects to: a sale of more than is held is about its quantity. */
function problemsOfRefusal(error: unknown): Problems {
  if (!(error instanceof RequestError)) return {}
  if (/^cannot sell/.test(error.message)) return { quantity: 'More than was held then.' }
  const { parameter } = error
  return parameter !== null && Object.hasOwn(NO_ENTRY, parameter) ? { [parameter]: 'See below.' } : {}
}

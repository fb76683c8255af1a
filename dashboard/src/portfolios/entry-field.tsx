import { useId } from 'preact/compat'
import type { Field } from './entry.ts'

interface EntryFieldProps {
  readonly name: Field
  readonly label: string
  readonly value: string
  readonly problem: string | undefined
  readonly hint?: string | undefined
  readonly type?: 'text' | 'datetime-local'
  readonly inputMode?: 'text' | 'decimal'
  /** Of a list of suggestions, its id. */
  readonly list?: string
  readonly isWide?: boolean
  onValue(field: Field, value: string): void
}

/** One field with its name above and, below, what is wrong with it or how it is filled in. */
export function EntryField(props: EntryFieldProps) {
  const { name, label, value, problem, hint, type = 'text', inputMode = 'text', list, isWide = false, onValue } = props
  const id = useId()
  return (
    <p className={isWide ? 'entry-field entry-wide' : 'entry-field'}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        name={name}
        type={type}
        inputMode={inputMode}
        {...(list === undefined ? {} : { list })}
        autoComplete="off"
        autoCapitalize="off"
        spellcheck={false}
        maxLength={1_000}
        value={value}
        aria-invalid={problem !== undefined}
        aria-describedby={`${id}-words`}
        onInput={(event) => onValue(name, event.currentTarget.value)}
      />
      <small id={`${id}-words`} className={problem === undefined ? '' : 'entry-problem'}>
        {problem ?? hint}
      </small>
    </p>
  )
}

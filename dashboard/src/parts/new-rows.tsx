import { plural } from '../words.ts'

/** Where new rows wait. Always there, so that nothing moves when the first one comes. */
export function NewRows({ waiting, what, show }: { waiting: number; what: readonly [string, string]; show(): void }) {
  return (
    <div className="new-rows">
      {waiting > 0 && (
        <button type="button" className="chip" onClick={show}>
          {plural(waiting, `new ${what[0]}`, `new ${what[1]}`)}
        </button>
      )}
    </div>
  )
}

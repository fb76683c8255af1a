import { useEffect, useRef, useState } from 'preact/compat'
import type { Session } from '../../../src/api/contract.ts'
import { useLive } from '../data/hooks.ts'
import { showState } from './title.ts'

/** Asks for the token once; what remembers it is a cookie that no script can read. */
export function SignIn() {
  const live = useLive()
  const [token, setToken] = useState('')
  const [problem, setProblem] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => {
    showState({ kind: 'off', word: 'Sign in' }, '')
    field.current?.focus()
  }, [])
  const submit = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    try {
      await live.ask<Session>('api/session', { method: 'POST', body: { token } })
      live.set({ signedOut: false })
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
      setBusy(false)
      field.current?.select()
    }
  }
  return (
    <main className="sign-in">
      <form className="card" onSubmit={(event) => void submit(event)}>
        <h1>Tapekeeper</h1>
        <p>This recorder asks for its token: the one in TAPEKEEPER_API_TOKEN, or in the file named there.</p>
        <label htmlFor="token">Token</label>
        <input
          id="token"
          type="password"
          autoComplete="current-password"
          required
          maxLength={4_096}
          ref={field}
          value={token}
          aria-invalid={problem !== null}
          aria-describedby="token-problem"
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <p id="token-problem" className="failure" role="alert">
          {problem !== null && `Not signed in: ${problem}.`}
        </p>
        <button type="submit" className="primary" disabled={busy}>
          {busy ? 'Signing in …' : 'Sign in'}
        </button>
      </form>
    </main>
  )
}

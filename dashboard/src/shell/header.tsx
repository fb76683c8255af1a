import { useLive, useLiveState } from '../data/hooks.ts'
import type { Route } from '../route.ts'
import { signOut } from './session.ts'
import { ThemeSwitch } from './theme.tsx'

export const VIEWS = [
  { view: 'overview', name: 'Overview', href: '#/' },
  { view: 'fetcher', name: 'Fetcher', href: '#/fetcher' },
  { view: 'markets', name: 'Markets', href: '#/markets' },
  { view: 'portfolios', name: 'Portfolios', href: '#/portfolios' },
] as const

/** Views that are reached through another. */
const PART_OF: Readonly<Partial<Record<Route['view'], Route['view']>>> = { market: 'markets', portfolio: 'portfolios' }

interface HeaderProps {
  readonly route: Route
  readonly canSignOut: boolean
  onHelp(): void
}

export function Header({ route, canSignOut, onHelp }: HeaderProps) {
  const live = useLive()
  const { paused } = useLiveState()
  const current = PART_OF[route.view] ?? route.view
  return (
    <header className="top">
      <a className="brand" href="#/" aria-label="Tapekeeper, to the overview">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <circle cx="6.5" cy="11" r="5" />
          <circle cx="17.5" cy="11" r="5" />
          <path d="M6.5 16h11M6.5 11h.01M17.5 11h.01" />
        </svg>
        <span>Tapekeeper</span>
      </a>
      <nav aria-label="Views">
        {VIEWS.map(({ view, name, href }) => (
          <a key={view} href={href} aria-current={view === current ? 'page' : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <div className="tools">
        <button
          type="button"
          className={`tool pause ${paused ? 'is-on' : ''}`}
          aria-pressed={paused}
          onClick={() => live.set({ paused: !paused })}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d={paused ? 'M4 2l10 6l-10 6Z' : 'M3 2h4v12H3Zm6 0h4v12H9Z'} />
          </svg>
          {paused ? 'Paused' : 'Pause'}
        </button>
        <ThemeSwitch />
        <button type="button" className="tool" onClick={onHelp} aria-label="Keyboard help" title="Keyboard help (?)">
          ?
        </button>
        {canSignOut && (
          <button type="button" className="tool sign-out" onClick={() => void signOut(live)}>
            Sign out
          </button>
        )}
      </div>
    </header>
  )
}

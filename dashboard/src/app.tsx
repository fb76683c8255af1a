import { useEffect, useState } from 'preact/compat'
import type { Collectors, Health, Session } from '../../src/api/contract.ts'
import { isStale, useLive, useLiveState, useNow, useResource } from './data/hooks.ts'
import type { Snapshot } from './data/resource.ts'
import { Fetcher } from './fetcher/fetcher.tsx'
import { judgeHealth, sentenceOf, type Verdict } from './judge.ts'
import { MarketView } from './markets/market.tsx'
import { Markets } from './markets/markets.tsx'
import { Overview } from './overview/overview.tsx'
import { StateMark } from './parts/state-mark.tsx'
import { PortfolioView } from './portfolios/portfolio.tsx'
import { Portfolios } from './portfolios/portfolios.tsx'
import { type Route, useRoute } from './route.ts'
import { Header } from './shell/header.tsx'
import { Help } from './shell/help.tsx'
import { useKeys } from './shell/keys.ts'
import { SignIn } from './shell/sign-in.tsx'
import { showState } from './shell/title.ts'
import { clockTime, wholeDuration } from './words.ts'

export function App() {
  const { signedOut } = useLiveState()
  return signedOut ? <SignIn /> : <Page />
}

function Page() {
  const live = useLive()
  const route = useRoute()
  const [helpOpen, setHelpOpen] = useState(false)
  const health = useResource<Health>('api/health', ['status'])
  const collectors = useResource<Collectors>('api/collectors', ['status', 'cycle'])
  const session = useResource<Session>('api/session')
  const { timestamp } = health.data ?? {}
  useEffect(() => {
    if (timestamp !== undefined) live.learnTime(Date.parse(timestamp))
  }, [live, timestamp])
  useKeys({ onHelp: () => setHelpOpen((open) => !open) })
  return (
    <>
      <button type="button" className="skip" onClick={jumpToContent}>
        Skip to the content
      </button>
      <Header route={route} canSignOut={session.data?.token_required === true} onHelp={() => setHelpOpen(true)} />
      <main id="content" tabIndex={-1}>
        <Headline health={health} collectors={collectors} />
        <View route={route} health={health} collectors={collectors} />
      </main>
      <Help open={helpOpen} onClose={() => setHelpOpen(false)} />
    </>
  )
}

/** A button, not a link: the fragment says which view is shown. */
function jumpToContent(): void {
  document.getElementById('content')?.focus()
}

interface ViewProps {
  readonly route: Route
  readonly health: Snapshot<Health>
  readonly collectors: Snapshot<Collectors>
}

function View({ route, health, collectors }: ViewProps) {
  switch (route.view) {
    case 'overview':
      return <Overview health={health} collectors={collectors} />
    case 'fetcher':
      return <Fetcher />
    case 'markets':
      return <Markets />
    case 'market':
      return <MarketView key={route.conditionId} conditionId={route.conditionId} />
    case 'portfolios':
      return <Portfolios />
    case 'portfolio':
      return <PortfolioView key={route.id} id={route.id} />
    default:
      return (
        <section className="card">
          <h2>There is nothing here</h2>
          <p className="empty">
            The address names no view. <a href="#/">To the overview</a>
          </p>
        </section>
      )
  }
}

/** The one sentence on top, the worst first; the same state in the title and in the icon. */
function Headline({ health, collectors }: Omit<ViewProps, 'route'>) {
  const live = useLive()
  const { paused } = useLiveState()
  const nowMs = useNow()
  const { verdict, sentence } = headlineOf({ health, collectors, nowMs, stale: isStale(health, live), paused, live })
  useEffect(() => showState(verdict, sentence), [verdict.kind, verdict.word, sentence])
  return (
    <section className={`headline headline-${verdict.kind}`} aria-label="State">
      <StateMark {...verdict} />
      <p>{sentence}</p>
      {/* what is read out is the state, not every second that counts up */}
      <p className="unseen" role="status" aria-live="polite">
        {verdict.word}
      </p>
    </section>
  )
}

interface HeadlineFacts extends Omit<ViewProps, 'route'> {
  readonly nowMs: number
  readonly stale: boolean
  readonly paused: boolean
  readonly live: ReturnType<typeof useLive>
}

function headlineOf(facts: HeadlineFacts): { verdict: Verdict; sentence: string } {
  const { health, collectors, nowMs, stale, paused, live } = facts
  const { data, loadedMs, problem } = health
  if (data === null || loadedMs === null) {
    return problem === null
      ? { verdict: { kind: 'busy', word: 'Loading' }, sentence: 'Asking the recorder how it is.' }
      : { verdict: { kind: 'off', word: 'No connection' }, sentence: `${problem.message}. The page keeps trying.` }
  }
  const pageMs = live.clock.nowMs()
  const seen = `${clockTime(loadedMs, pageMs)}, ${wholeDuration((pageMs - loadedMs) / 1_000)} ago`
  const was = judgeHealth(data.status).word.toLowerCase()
  if (paused) {
    return { verdict: { kind: 'off', word: 'Paused' }, sentence: `This page is paused. At ${seen}, it was ${was}.` }
  }
  if (stale) {
    const why = problem?.message ?? 'Nothing was heard'
    return {
      verdict: { kind: 'off', word: 'No connection' },
      sentence: `${why}. Last seen ${seen}; it was ${was} then. The page keeps trying.`,
    }
  }
  return { verdict: judgeHealth(data.status), sentence: sentenceOf(data, collectors.data?.collectors ?? [], nowMs) }
}

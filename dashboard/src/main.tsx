import { render } from 'preact/compat'
import { App } from './app.tsx'
import { browserClock } from './data/clock.ts'
import { openEvents } from './data/events.ts'
import { LiveContext } from './data/hooks.ts'
import { Live } from './data/live.ts'
import { ask } from './data/request.ts'
import { applyTheme, currentTheme } from './shell/theme.tsx'
import './styles/base.css'
import './styles/shell.css'
import './styles/cards.css'
import './styles/markets.css'
import './styles/portfolios.css'
import './styles/tables.css'

applyTheme(currentTheme())
const live = new Live({ ask, clock: browserClock, openEvents })
const followVisibility = () => live.set({ hidden: document.visibilityState === 'hidden' })
document.addEventListener('visibilitychange', followVisibility)
followVisibility()

const place = document.getElementById('page')
if (place === null) throw new Error('the page has no place for its content')
render(
  <LiveContext.Provider value={live}>
    <App />
  </LiveContext.Provider>,
  place,
)

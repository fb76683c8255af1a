import { useEffect, useState } from 'preact/compat'
import { recall, remember } from './memory.ts'

const THEMES = ['system', 'light', 'dark'] as const
type Theme = (typeof THEMES)[number]

const SHAPES: Readonly<Record<Theme, string>> = {
  system: 'M1.5 2.5h13v9h-13Zm1.5 1.5v6h10v-6ZM5 13h6v1.5H5Z',
  light: 'M8 4.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 0 0 0-7ZM7.3 0h1.4v3H7.3Zm0 13h1.4v3H7.3ZM0 7.3h3v1.4H0Zm13 0h3v1.4h-3Z',
  dark: 'M6 1.2A7 7 0 1 0 14.8 10A5.8 5.8 0 0 1 6 1.2Z',
}

export function currentTheme(): Theme {
  return THEMES.find((theme) => theme === recall('theme')) ?? 'system'
}

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme
}

/** System, light, dark, and round again. Charts hear of it by the event `themechange` of the window. */
export function ThemeSwitch() {
  const [theme, setTheme] = useState(currentTheme)
  useEffect(() => {
    applyTheme(theme)
    dispatchEvent(new Event('themechange'))
  }, [theme])
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system'
  const label = `Colours: ${theme}. Change to ${next}.`
  const change = () => {
    remember('theme', next)
    setTheme(next)
  }
  return (
    <button type="button" className="tool" data-key="t" aria-label={label} title={`${label} (t)`} onClick={change}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d={SHAPES[theme]} fillRule="evenodd" />
      </svg>
    </button>
  )
}

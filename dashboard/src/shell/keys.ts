import { useEffect } from 'preact/compat'
import { useLive } from '../data/hooks.ts'
import { VIEWS } from './header.tsx'
import { recall, remember } from './memory.ts'

/** Every key and what it does, as `?` lists them. */
export const KEYS: readonly (readonly [key: string, what: string])[] = [
  ...VIEWS.map(({ name }, at) => [String(at + 1), name] as const),
  ['p', 'Pause and go on'],
  ['r', 'Refresh everything now'],
  ['/', 'Search'],
  ['t', 'Colours: system, light, dark'],
  ['?', 'This list'],
  ['Esc', 'Close'],
]

/** People who steer by voice can switch single keys off. */
export function keysAreOn(): boolean {
  return recall('keys') !== 'off'
}

export function switchKeys(on: boolean): void {
  remember('keys', on ? 'on' : 'off')
}

export function useKeys({ onHelp }: { onHelp(): void }): void {
  const live = useLive()
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || !keysAreOn()) return
      const view = VIEWS[Number(event.key) - 1]
      if (view !== undefined) location.hash = view.href
      else if (event.key === 'p') live.set({ paused: !live.state.paused })
      else if (event.key === 'r') live.refresh()
      else if (event.key === 't') document.querySelector<HTMLElement>('[data-key="t"]')?.click()
      else if (event.key === '/') document.querySelector<HTMLElement>('[data-search]')?.focus()
      else if (event.key === '?') onHelp()
      else return
      event.preventDefault()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [live, onHelp])
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches('input, select, textarea, [contenteditable]')
}

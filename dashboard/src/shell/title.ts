import type { Kind, Verdict } from '../judge.ts'
import { shapeOf } from '../parts/state-mark.tsx'

/** An icon lies on the browser's own ground, light or dark: these are seen on both. */
const COLOURS: Readonly<Record<Kind, string>> = {
  good: '#1f9d61',
  busy: '#3b7dd8',
  warn: '#d48806',
  bad: '#d6336c',
  off: '#7a8594',
}
const SIGNS: Readonly<Record<Kind, string>> = { good: '●', busy: '◌', warn: '▲', bad: '■', off: '–' }

/** The state in the title of the page and in its icon. */
export function showState({ kind, word }: Verdict, sentence: string): void {
  const reason = kind === 'bad' || kind === 'warn' ? `${sentence.slice(0, 120)}` : word
  document.title = `${SIGNS[kind]} ${reason} – Tapekeeper`
  const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]')
  if (icon === null) return
  const path = `<path fill="${COLOURS[kind]}" fill-rule="evenodd" d="${shapeOf(kind)}"/>`
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${path}</svg>`
  const href = `data:image/svg+xml,${encodeURIComponent(svg)}`
  if (icon.href !== href) icon.href = href
}

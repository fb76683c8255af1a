import { Parser } from 'htmlparser2'

/** What is never read aloud. */
const SILENT = new Set(['script', 'style', 'noscript', 'template', 'svg', 'iframe'])
/** What ends a word. */
const BREAKS = new Set(
  (
    'address article aside blockquote br dd div dl dt figure footer h1 h2 h3 h4 h5 h6 header hr li nav ol p pre ' +
    'section table td th tr ul'
  ).split(' '),
)
const CONTROLS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu
const ELEMENTS =
  'a abbr acronym address area article aside audio b base basefont bdi bdo big blink blockquote body br ' +
  'button canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl ' +
  'dt em embed fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr ' +
  'html i iframe img input ins kbd label legend li link main map mark marquee math menu meta meter nav ' +
  'nobr noscript object ol optgroup option output p param picture pre progress q rp rt ruby s samp script ' +
  'section select slot small source span strike strong style sub summary sup svg table tbody td template ' +
  'textarea tfoot th thead time title tr track tt u ul var video wbr'
/** A sign that begins no tag that HTML knows, and is meant as it stands. */
const NO_TAG = new RegExp(`<(?!/?(?:${ELEMENTS.replaceAll(' ', '|')})(?:[\\s/>]|$)|/?\\w+[-:]|!)`, 'gi')
/** What is worth parsing: a tag or an entity. */
const MARKUP = /<[/!]?[a-z]|<!|&#?\w{2,10};/i

/** The words of a piece of HTML, on one line, at most `charactersMax` long. Plain text stays what it is. */
export function plainText(html: string, charactersMax: number): string {
  // Much longer than what is kept; markup takes most of it.
  const text = html.slice(0, charactersMax * 40)
  return tidyText(MARKUP.test(text) ? stripTags(text.replaceAll(NO_TAG, '&lt;')) : text, charactersMax)
}

/** One line without control characters and invisible marks. */
export function tidyText(text: string, charactersMax: number): string {
  const line = text.replaceAll(CONTROLS, ' ').replaceAll(/\s+/g, ' ').trim()
  if (line.length <= charactersMax) return line
  const cut = line.slice(0, charactersMax - 1)
  // Not in the middle of a character of two halves.
  return `${/[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut}…`
}

function stripTags(html: string): string {
  const parts: string[] = []
  let silent = 0
  const parser = new Parser(
    {
      onopentagname(name) {
        if (SILENT.has(name)) silent += 1
        if (BREAKS.has(name)) parts.push(' ')
      },
      onclosetag(name) {
        if (SILENT.has(name)) silent -= 1
        if (BREAKS.has(name)) parts.push(' ')
      },
      ontext(text) {
        if (silent === 0) parts.push(text)
      },
    },
    { decodeEntities: true },
  )
  parser.end(html)
  return parts.join('')
}

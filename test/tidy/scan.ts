import { posix } from 'node:path'

/** A source file; `path` is relative to the root of the repository, with forward slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

const REGEX_MAY_FOLLOW = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|void|delete|await|yield|throw))$/

/**
 * The text with the inside of comments, strings and regular expressions replaced by spaces, so that every offset
 * and line stays where it was. Code inside `${…}` is kept. A scanner, not a parser: enough for the rules here.
 */
export function blank(text: string): string {
  const out = text.split('')
  const hide = (from: number, to: number) => {
    for (let index = from; index < to && index < out.length; index += 1) if (out[index] !== '\n') out[index] = ' '
  }
  const templates: number[] = [] // depth of braces inside each open `${`
  let index = 0
  while (index < text.length) {
    const char = text[index] ?? ''
    const pair = text.slice(index, index + 2)
    let end: number
    if (pair === '//' || (index === 0 && pair === '#!')) {
      end = endOf(text, '\n', index)
      hide(index, end)
    } else if (pair === '/*') {
      end = endOf(text, '*/', index + 2)
      hide(index, end)
    } else if (char === "'" || char === '"') {
      end = endOfQuoted(text, index, char)
      hide(index + 1, end - 1)
    } else if (char === '`' || (char === '}' && templates.at(-1) === 0)) {
      if (char === '}') templates.pop()
      end = endOfTemplatePart(text, index + 1)
      hide(index + 1, text[end - 1] === '`' ? end - 1 : end - 2)
      if (text[end - 1] === '{') templates.push(0)
    } else if (char === '/' && startsRegex(out, index)) {
      end = endOfRegex(text, index)
      hide(index + 1, end - 1)
    } else {
      end = index + 1
      const depth = templates.length - 1
      if (depth >= 0 && char === '{') templates[depth] = (templates[depth] ?? 0) + 1
      if (depth >= 0 && char === '}') templates[depth] = (templates[depth] ?? 0) - 1
    }
    index = end
  }
  return out.join('')
}

/** A slash starts a regular expression where a value is expected, else it divides. */
function startsRegex(out: readonly string[], at: number): boolean {
  let end = at
  while (end > 0 && /\s/.test(out[end - 1] ?? '')) end -= 1
  return REGEX_MAY_FOLLOW.test(out.slice(Math.max(0, end - 12), end).join(''))
}

function endOf(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from)
  return at < 0 ? text.length : at + (mark === '\n' ? 0 : mark.length)
}

function endOfQuoted(text: string, start: number, quote: string): number {
  let index = start + 1
  while (index < text.length && text[index] !== quote && text[index] !== '\n') index += text[index] === '\\' ? 2 : 1
  return index + 1
}

function endOfTemplatePart(text: string, start: number): number {
  let index = start
  while (index < text.length) {
    if (text[index] === '`') return index + 1
    if (text[index] === '$' && text[index + 1] === '{') return index + 2
    index += text[index] === '\\' ? 2 : 1
  }
  return text.length
}

function endOfRegex(text: string, start: number): number {
  let index = start + 1
  let inClass = false
  while (index < text.length && text[index] !== '\n') {
    if (text[index] === '[') inClass = true
    if (text[index] === ']') inClass = false
    if (text[index] === '/' && !inClass) return index + 1
    index += text[index] === '\\' ? 2 : 1
  }
  return index
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** One reference from a file to another file or package. */
export interface Reference {
  readonly specifier: string
  readonly line: number
}

const STATIC_IMPORT = /\b(?:import|export)\b[^'"`;=]*?\bfrom\s*(?=['"])|\bimport\s*(?=['"])/g
const CALLED_IMPORT = /\b(?:import|require|require\.resolve)\s*\(\s*/g
const URL_OF_MODULE = /\bnew\s+URL\s*\(/g

/** Everything a file refers to: values, types, dynamic imports, workers and files beside it (`new URL`). */
export function references(file: SourceFile): readonly Reference[] {
  const code = blank(file.text)
  const found: Reference[] = []
  const add = (offset: number, specifier: string) => found.push({ specifier, line: lineAt(code, offset) })
  for (const match of code.matchAll(STATIC_IMPORT)) {
    const at = match.index + match[0].length
    add(at, quotedAt(file.text, code, at) ?? '')
  }
  for (const match of code.matchAll(CALLED_IMPORT)) {
    const at = match.index + match[0].length
    add(match.index, quotedAt(file.text, code, at) ?? '(computed)')
  }
  for (const match of code.matchAll(URL_OF_MODULE)) {
    const open = match.index + match[0].length - 1
    const close = closingOf(code, open)
    if (!code.slice(open, close).includes('import.meta.url')) continue
    for (const quote of code.slice(open, close).matchAll(/['"`]/g)) {
      const specifier = quotedAt(file.text, code, open + quote.index)
      if (specifier?.startsWith('.')) add(open, specifier)
    }
  }
  return found
}

/** The content of the string that starts at this offset. Quotes survive blanking, so the next one ends it. */
function quotedAt(text: string, code: string, at: number): string | undefined {
  const quote = code[at]
  if (quote !== "'" && quote !== '"' && quote !== '`') return undefined
  const end = code.indexOf(quote, at + 1)
  return end < 0 ? undefined : text.slice(at + 1, end)
}

function closingOf(code: string, open: number): number {
  let depth = 0
  for (let index = open; index < code.length; index += 1) {
    if (code[index] === '(') depth += 1
    if (code[index] === ')') depth -= 1
    if (depth === 0) return index
  }
  return code.length
}

/** The path that a relative reference means, from the root of the repository; null for a package. */
export function resolveReference(file: SourceFile, specifier: string): string | null {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file.path), specifier) : null
}

import { lineAt } from './scan.ts'

/** A function with a body in braces. */
export interface FunctionSpan {
  readonly line: number
  readonly lines: number
}

const OPENING: Record<string, string> = { ')': '(', ']': '[', '}': '{', '>': '<' }
const NOT_A_FUNCTION = new Set(['if', 'for', 'while', 'switch', 'catch', 'with', 'await'])
const STATEMENT_START = /\b(?:class|interface|else|try|finally|do|return|const|let|export|import|namespace)$/

/** Finds functions in blanked code by their braces: `) {`, `): Type {` and `=> {`. */
export function findFunctions(code: string): readonly FunctionSpan[] {
  const found: FunctionSpan[] = []
  const open: (number | null)[] = []
  for (let index = 0; index < code.length; index += 1) {
    if (code[index] === '{') open.push(functionStart(code, index))
    if (code[index] === '}') {
      const start = open.pop()
      if (start === undefined || start === null) continue
      const line = lineAt(code, start)
      found.push({ line, lines: lineAt(code, index) - line + 1 })
    }
  }
  return found
}

/** Where the function begins whose body opens at this brace; null when it is another kind of brace. */
function functionStart(code: string, brace: number): number | null {
  const head = code.slice(0, brace).trimEnd()
  if (head.endsWith('=>')) return parametersOf(code, head.length - 2) ?? brace
  return parametersOf(code, head.length)
}

/** Walks back over a return type to the parameter list; returns its opening parenthesis. */
function parametersOf(code: string, end: number): number | null {
  let index = end - 1
  while (index >= 0) {
    const char = code[index] ?? ''
    if (char === ')') {
      const start = openingOf(code, index)
      const after = code.slice(index + 1, end).trim()
      if (after === '' || after.startsWith(':')) return isControl(code, start) ? null : start
      index = start - 1
    } else if (char === '>' && code[index - 1] === '=') {
      index -= 2
    } else if (char === ']' || char === '}' || char === '>') {
      index = openingOf(code, index) - 1
    } else if ('([{;='.includes(char) || STATEMENT_START.test(code.slice(Math.max(0, index - 12), index + 1))) {
      return null
    } else {
      index -= 1
    }
  }
  return null
}

function isControl(code: string, parenthesis: number): boolean {
  const word = /(\w+)\s*$/.exec(code.slice(Math.max(0, parenthesis - 30), parenthesis))?.[1] ?? ''
  return NOT_A_FUNCTION.has(word)
}

function openingOf(code: string, close: number): number {
  const closer = code[close] ?? ''
  const opener = OPENING[closer]
  let depth = 0
  for (let index = close; index >= 0; index -= 1) {
    if (code[index] === closer && !(closer === '>' && code[index - 1] === '=')) depth += 1
    if (code[index] === opener) depth -= 1
    if (depth === 0) return index
  }
  return 0
}

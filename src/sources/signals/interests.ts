import { wordsOf } from './words.ts'

/** What is looked for in signals and in questions of markets. */
export interface Interests {
  keywordsIn(text: string): readonly string[]
  companiesIn(text: string): readonly string[]
}

interface Interest {
  readonly name: string
  /** Words between blanks, with a blank at each end. */
  readonly forms: readonly string[]
}

/**
 * Keywords occur in any case; companies are names and occur as they are written, or in capitals. A company can have
 * other names: `Alphabet=Google|GOOGL`.
 */
export function createInterests(keywords: readonly string[], companies: readonly string[]): Interests {
  const words = readInterests(keywords).map((one) => ({ ...one, forms: one.forms.map((form) => form.toLowerCase()) }))
  const names = readInterests(companies).map((one) => ({
    ...one,
    forms: one.forms.flatMap((form) => [form, form.toUpperCase()]),
  }))
  return {
    keywordsIn: (text) => found(words, framed(text).toLowerCase()),
    companiesIn: (text) => found(names, framed(text)),
  }
}

function readInterests(texts: readonly string[]): readonly Interest[] {
  return texts.flatMap((text) => {
    const [name = '', others = ''] = text.split('=')
    const forms = [name, ...others.split('|')].map(framed).filter((form) => form.trim() !== '')
    return forms.length === 0 ? [] : [{ name: name.trim(), forms }]
  })
}

function found(interests: readonly Interest[], text: string): readonly string[] {
  return interests.filter(({ forms }) => forms.some((form) => text.includes(form))).map(({ name }) => name)
}

function framed(text: string): string {
  return ` ${wordsOf(text).join(' ')} `
}

/** Words of one search; the rest are left out. */
const WORDS_MAX = 10

/**
 * What people type as a `tsquery`: every word must occur, from its beginning. Words are cut as they are in the indexes,
 * at ASCII punctuation, so that nothing in it can mean more. null when there is no word in it.
 */
export function wordsQuery(text: string): string | null {
  const words = text.match(/[0-9A-Za-z\u0080-\u{10FFFF}]+/gu)?.slice(0, WORDS_MAX) ?? []
  return words.length === 0 ? null : words.map((word) => `${word}:*`).join(' & ')
}

/** The words of a text in their order: letters and digits, everything else is between them. */
export function wordsOf(text: string): readonly string[] {
  return text.normalize('NFKC').match(/[\p{L}\p{N}\p{M}]+/gu) ?? []
}

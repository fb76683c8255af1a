/** Control characters, line separators, and the marks that turn the direction of what follows. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the point
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/g

/** Text from outside as one line that cannot do anything to a terminal, at most `charactersMax` long. */
export function plainText(text: string, charactersMax = 200): string {
  const characters = [...text.replaceAll(UNPRINTABLE, ' ').replaceAll(/\s+/g, ' ').trim()]
  return characters.length > charactersMax ? `${characters.slice(0, charactersMax - 1).join('')}…` : characters.join('')
}

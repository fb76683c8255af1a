/** What the page remembers of its reader. A browser that forbids that forgets it, and nothing else. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`tapekeeper.${key}`)
  } catch {
    return null
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`tapekeeper.${key}`, value)
  } catch {
    // then it holds until the page is left
  }
}

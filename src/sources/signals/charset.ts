/** How much of a document is looked at for what it says of its own encoding, bytes. */
const HEAD_BYTES = 4_096
/** Every byte is a letter in it, so it never fails. */
const LAST_RESORT = 'windows-1252'

/**
 * The text of a document, whatever it claims: servers and documents are often wrong about their encoding. A byte order
 * mark decides; then UTF-8 where the bytes are UTF-8, which other encodings practically never are; then what the
 * server says, what the document says, and windows-1252.
 */
export function decodeText(body: Uint8Array, contentType: string): string {
  const marked = markedEncoding(body)
  if (marked !== null) return new TextDecoder(marked).decode(body)
  const head = new TextDecoder('latin1').decode(body.subarray(0, HEAD_BYTES))
  const claims = [/charset\s*=\s*["']?([\w.:-]+)/i.exec(contentType)?.[1], claimOf(head)].filter(
    (claim) => claim !== undefined,
  )
  // Escape sequences are ASCII, and so is everything that is written with them.
  const order = head.includes('\u001b') ? [...claims, 'utf-8'] : ['utf-8', ...claims]
  for (const label of [...order, LAST_RESORT]) {
    const text = tryDecode(body, label)
    if (text !== null) return text
  }
  return new TextDecoder(LAST_RESORT).decode(body)
}

/** A byte order mark, or the pattern of UTF-16 without one. */
function markedEncoding([first, second, third, fourth]: Uint8Array): string | null {
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8'
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  if (first === 0xfe && second === 0xff) return 'utf-16be'
  if (first === 0x3c && second === 0 && third !== 0 && fourth === 0) return 'utf-16le'
  if (first === 0 && second === 0x3c && third === 0 && fourth !== 0) return 'utf-16be'
  return null
}

/** `<?xml … encoding="…"?>`, or a `meta` element. */
function claimOf(head: string): string | undefined {
  const xml = /^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)["']/i.exec(head)
  return xml?.[1] ?? /<meta\b[^>]{0,300}?charset\s*=\s*["']?([\w.:-]+)/i.exec(head)?.[1]
}

function tryDecode(body: Uint8Array, label: string): string | null {
  try {
    return new TextDecoder(label, { fatal: true }).decode(body)
  } catch {
    return null // not in this encoding, or there is none of that name
  }
}

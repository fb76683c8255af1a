import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { TransientError } from '../core/errors.ts'
import { parseJson } from './parse-json.ts'

/** What the far side sent, decoded as far as its content type allows. */
export type Body =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'html'; readonly snippet: string }
  | { readonly kind: 'other'; readonly text: string }

const SNIPPET_LENGTH = 160

export interface BodySource {
  readonly stream: Readable
  readonly contentType: string
  readonly contentEncoding: string
  /** Counted after decompression. */
  readonly bytesMax: number
  /** Names the request in errors. */
  readonly label: string
}

/** Reads and decodes a whole body; `bytes` is its size after decompression. */
export async function readBody(source: BodySource): Promise<{ body: Body; bytes: number }> {
  const raw = await readBytes(source)
  return { body: decode(raw, source.contentType), bytes: raw.length }
}

/** Reads a whole body as it is after decompression. */
export async function readBytes({
  stream,
  contentEncoding,
  bytesMax,
  label,
}: Omit<BodySource, 'contentType'>): Promise<Buffer> {
  const plain = decompress(stream, contentEncoding, label)
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of plain as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > bytesMax) throw new TransientError(`${label} sent more than ${bytesMax} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    stream.destroy()
    if (error instanceof Error && 'code' in error && /^(Z_|ERR_?_?BROTLI|ERR__)/.test(String(error.code))) {
      throw new TransientError(`${label} sent a damaged or truncated ${contentEncoding} body`, { cause: error })
    }
    throw error
  }
  return Buffer.concat(chunks, bytes)
}

function decompress(stream: Readable, encoding: string, label: string): Readable {
  if (encoding === '' || encoding === 'identity') return stream
  const decoder =
    encoding === 'gzip'
      ? createGunzip()
      : encoding === 'br'
        ? createBrotliDecompress()
        : encoding === 'deflate'
          ? createInflate()
          : null
  if (decoder === null) {
    stream.destroy()
    throw new TransientError(`${label} answered in an unknown encoding: ${encoding.slice(0, 40)}`)
  }
  stream.on('error', (error) => decoder.destroy(error)) // pipe() does not hand errors on
  return stream.pipe(decoder)
}

/** Never trusts the status: gateways answer with HTML pages under any of them. */
function decode(raw: Buffer, contentType: string): Body {
  const text = raw.toString('utf8').replace(/^\ufeff/, '')
  if (/\bhtml\b/i.test(contentType) || /^\s*<(!doctype|html)/i.test(text))
    return { kind: 'html', snippet: snippet(text) }
  try {
    return { kind: 'json', value: parseJson(text) }
  } catch {
    return { kind: 'other', text: snippet(text) }
  }
}

/** The words of a page or a text, on one short line. */
function snippet(text: string): string {
  const words = text
    .slice(0, 8_000)
    .replace(/<(style|script)[\s\S]*?(<\/\1>|$)/gi, ' ')
    .replace(/<[^>]*>?/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return words.length <= SNIPPET_LENGTH ? words : `${words.slice(0, SNIPPET_LENGTH)}…`
}

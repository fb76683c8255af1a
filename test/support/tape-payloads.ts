import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'

/** A frame as a tape line keeps it. */
export interface KeptFrame {
  readonly connection: string
  readonly form: 'frame' | 'text' | 'base64'
  readonly payload: Buffer
}

/**
 * Reads tape lines by their description alone: each must be JSON, and its CRC must be that of its payload. Marks are
 * left out.
 */
export function* keptFrames(lines: Iterable<string>): Generator<KeptFrame> {
  for (const line of lines) {
    const parsed = JSON.parse(line) as Record<string, unknown>
    const form = (['frame', 'text', 'base64'] as const).find((name) => Object.hasOwn(parsed, name))
    if (form === undefined) continue
    const payload = payloadOf(form, line, parsed)
    assert.equal(Number.parseInt(String(parsed['crc']), 16), crc32(payload), `the CRC of ${line.slice(0, 200)}`)
    yield { connection: String(parsed['conn']), form, payload }
  }
}

/** In the form `frame` the payload is the line itself, from its key to the last brace. */
function payloadOf(form: KeptFrame['form'], line: string, parsed: Record<string, unknown>): Buffer {
  if (form !== 'frame') return Buffer.from(String(parsed[form]), form === 'text' ? 'utf8' : 'base64')
  return Buffer.from(line.slice(line.indexOf('"frame":') + '"frame":'.length, -1))
}

/** The payload as it must be kept: JSON without its final newline, everything else whole. */
export function withoutNewline({ form, payload }: { form: string; payload: Buffer }): Buffer {
  return form === 'frame' && payload.at(-1) === 0x0a ? payload.subarray(0, -1) : payload
}

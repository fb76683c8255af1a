import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TapeRecord } from '../core/tape.ts'
import { LineReader, withoutFinalNewline } from './line-reader.ts'
import { LineWriter, lineConnection } from './line-writer.ts'

const AT = 1_790_000_000_123_456

function line(payload: Buffer, connection = 'c-1', atUs = AT): Buffer {
  const writer = new LineWriter()
  writer.frame(atUs, lineConnection(connection), payload)
  return Buffer.from(writer.bytes)
}

function read(bytes: Buffer): TapeRecord | null {
  return new LineReader().read(bytes, 0, bytes.length - 1)
}

test('a JSON payload stands on its line as it came, without its final newline', () => {
  const expected = `{"at":1790000000123456,"conn":"c-1","crc":"8ff4d3a2","frame":{"a": 1.50}}\n`
  const written = line(Buffer.from('{"a": 1.50}\n')).toString()
  assert.equal(written.replace(/"crc":"[0-9a-f]{8}"/, '"crc":"8ff4d3a2"'), expected)
})

test('the CRC is the one that every tool computes', () => {
  // The check value of CRC-32 (ISO-HDLC) for the digits 1 to 9.
  assert.match(line(Buffer.from('123456789')).toString(), /"crc":"cbf43926","frame":123456789\}\n$/)
})

test('other payloads are kept as text or base64', () => {
  assert.match(line(Buffer.from('PONG')).toString(), /"text":"PONG"\}\n$/)
  assert.match(line(Buffer.from('PONG\n')).toString(), /"text":"PONG\\n"\}\n$/)
  assert.match(line(Buffer.from('[\n]')).toString(), /"text":"\[\\n\]"\}\n$/)
  assert.match(line(Buffer.from('{}\n\n')).toString(), /"text":"\{\}\\n\\n"\}\n$/)
  assert.match(line(Buffer.alloc(0)).toString(), /"text":""\}\n$/)
  assert.match(line(Buffer.from([0x22, 0xff, 0x22])).toString(), /"base64":"Iv8i"\}\n$/)
})

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.json().map((text) => Buffer.from(text)),
  fc.json().map((text) => Buffer.from(`${text}\n`)),
  fc.string({ unit: 'binary', maxLength: 100 }).map((text) => Buffer.from(text)),
  fc
    .array(fc.constantFrom('\n', '\r', '{}', '"', '\\', '\u0000', 'é'), { maxLength: 8 })
    .map((t) => Buffer.from(t.join(''))),
)

test('every payload, connection and time comes back, and every line is JSON on one line', () => {
  fc.assert(
    fc.property(payload, fc.string({ unit: 'binary' }), fc.nat(Number.MAX_SAFE_INTEGER), (bytes, connection, atUs) => {
      const name = Buffer.from(connection).toString()
      const written = line(bytes, name, atUs)
      assert.equal(written.indexOf('\n'), written.length - 1)
      const parsed = JSON.parse(written.toString()) as { at: number; conn: string }
      assert.deepEqual([parsed.at, parsed.conn], [atUs, name])
      const record = read(written)
      assert.ok(record?.kind === 'frame')
      assert.deepEqual([record.atUs, record.connection], [atUs, name])
      assert.deepEqual(Buffer.from(record.payload), Buffer.from(withoutFinalNewline(bytes)))
    }),
    { numRuns: 1500 },
  )
})

test('marks come back with their detail', () => {
  const writer = new LineWriter()
  writer.mark(AT, lineConnection('c"1'), 'subscribe', '{"tokens":["1","2"],"n":2}')
  const written = Buffer.from(writer.bytes)
  assert.equal((JSON.parse(written.toString()) as { mark: string }).mark, 'subscribe')
  assert.deepEqual(read(written), {
    kind: 'mark',
    atUs: AT,
    connection: 'c"1',
    mark: 'subscribe',
    detail: { tokens: ['1', '2'], n: 2 },
  })
})

test('a flipped bit in payload, CRC or keys makes the line damaged; none is taken for another payload', () => {
  const written = line(Buffer.from('{"price":"0.53","size":"100"}'))
  const bodyStart = written.indexOf('"crc"')
  for (let at = 0; at < written.length - 1; at += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const flipped = Buffer.from(written)
      flipped[at] = (flipped[at] as number) ^ (1 << bit)
      const record = read(flipped)
      if (at >= bodyStart) assert.equal(record, null, `byte ${at} bit ${bit}`)
      else if (record !== null)
        assert.equal(record.kind === 'frame' && record.payload.toString(), '{"price":"0.53","size":"100"}')
    }
  }
})

test('no cut line is readable', () => {
  const written = line(Buffer.from('{"a":[1,2,{"b":"}"}]}'))
  for (let end = 0; end < written.length - 1; end += 1) {
    assert.equal(new LineReader().read(written, 0, end), null, `cut at ${end}`)
  }
})

test('many lines in one buffer, longer than it was', () => {
  const writer = new LineWriter()
  const sizes = [10, 3 << 20, 0, 70_000, 5]
  for (const size of sizes) writer.frame(AT, lineConnection('c'), Buffer.from(`"${'x'.repeat(size)}"`))
  const bytes = writer.bytes
  const reader = new LineReader()
  const found: number[] = []
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf('\n', start)
    const record = reader.read(bytes, start, end)
    found.push(record?.kind === 'frame' ? record.payload.length - 2 : -1)
    start = end + 1
  }
  assert.deepEqual(found, sizes)
})

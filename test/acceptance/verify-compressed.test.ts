import assert from 'node:assert/strict'
import { copyFile, rm } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { type VerifyFlags, verifyRecording } from '../../src/cli/verify.ts'
import { verifyJson } from '../../src/cli/verify-view.ts'
import { loadConfig } from '../../src/config/load.ts'
import { quietLogger } from '../../src/ledger/test-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { damageBytes, damageLines, hideFile, manifestFile, segmentFiles, swapFiles } from '../support/damage.ts'
import { type Recording, record, tradeLine } from '../support/recording.ts'

// Two segments, both compressed, each with trades; then every kind of damage is done to them, found, and undone.

let recording: Recording
/** The two files. */
let first = ''
let second = ''

before(async () => {
  recording = await record({ compressed: true })
  const files = await segmentFiles(recording.dataDir)
  ;[first = '', second = ''] = files
  assert.ok(first.endsWith('.gz') && second.endsWith('.gz'), files.join())
  const { ok } = await verify()
  assert.equal(ok, true, 'the recording is clean')
})

after(() => recording?.close())

interface Stream {
  readonly stream: string
  readonly tape: { readonly findings: readonly { kind: string; segment: string | null; detail: string }[] }
  /** Absent when only the files were looked at. */
  readonly rows?: Record<'missing' | 'changed' | 'doubled' | 'unknown', number>
}

async function verify(flags: VerifyFlags = {}) {
  const sources = { flags: {}, env: recording.env, cwd: recording.directory, readFile: () => null }
  const { config, notices } = loadConfig(sources)
  const progress = { show() {}, clear() {} }
  const run = {
    config,
    notices,
    clock: systemClock(),
    log: quietLogger(),
    progress,
    signal: new AbortController().signal,
  }
  const report = JSON.parse(JSON.stringify(verifyJson(await verifyRecording(run, flags)))) as {
    ok: boolean
    streams: Stream[]
  }
  const stream = report.streams.find((one) => one.stream === 'polymarket.trades')
  assert.ok(stream !== undefined)
  const { missing, changed, doubled, unknown } = stream.rows ?? NONE
  const findings = stream.tape.findings.map(({ kind, segment }) => `${kind} ${segment ?? 'manifest'}`)
  return { ok: report.ok, findings, rows: { missing, changed, doubled, unknown } }
}

/** Verifies what was damaged, and mends it. */
async function found(damage: Promise<() => Promise<void>>, flags: VerifyFlags = {}) {
  const undo = await damage
  try {
    const result = await verify(flags)
    assert.equal(result.ok, false, 'it must be found')
    return result
  } finally {
    await undo()
  }
}

const nameOf = (path: string) => path.replace(/^.*\//, '').replace(/\.ndjson(\.gz)?$/, '')
/** Findings of the files alone; rows take longer. */
const FILES = { tapeOnly: true }
const NONE = { missing: 0, changed: 0, doubled: 0, unknown: 0 }
const TRADE =
  'SELECT tableoid, ctid FROM trades ORDER BY received_at, token_key, content_hash, ordinal OFFSET 20 LIMIT 1'

describe('damage to a compressed segment', () => {
  test('one flipped byte in the file', async () => {
    const { findings } = await found(
      damageBytes(first, (bytes) => {
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
        return bytes
      }),
      FILES,
    )
    assert.ok(findings.includes(`content ${nameOf(first)}`), findings.join())
  })

  test('one flipped byte in a line, compressed again', async () => {
    const { findings, rows } = await found(
      damageLines(first, (lines) => {
        const at = tradeLine(lines)
        lines[at] = String(lines[at]).replace(
          /"price":"0\.(\d)/,
          (_, digit) => `"price":"0.${(Number(digit) + 1) % 10}`,
        )
      }),
    )
    for (const kind of ['compressed file', 'content', 'damaged lines']) {
      assert.ok(findings.includes(`${kind} ${nameOf(first)}`), `${kind}: ${findings.join()}`)
    }
    assert.ok(rows.unknown + rows.doubled >= 1)
  })

  test('one deleted line, compressed again', async () => {
    const { findings, rows } = await found(damageLines(second, (lines) => void lines.splice(tradeLine(lines), 1)))
    for (const kind of ['compressed file', 'content', 'lines', 'bytes']) {
      assert.ok(findings.includes(`${kind} ${nameOf(second)}`), `${kind}: ${findings.join()}`)
    }
    assert.ok(rows.unknown + rows.doubled >= 1)
  })

  test('one doubled line, compressed again', async () => {
    const { findings } = await found(
      damageLines(second, (lines) => void lines.splice(tradeLine(lines), 0, String(lines[tradeLine(lines)]))),
    )
    assert.ok(findings.includes(`lines ${nameOf(second)}`), findings.join())
  })
})

describe('damage to rows of a compressed segment', () => {
  for (const [name, sql, expected] of [
    ['one deleted row', `DELETE FROM trades WHERE (tableoid, ctid) = (${TRADE})`, { missing: 1 }],
    [
      'one doubled row',
      `INSERT INTO trades SELECT (jsonb_populate_record(t, '{"ordinal": 7}')).* FROM trades t
       WHERE (tableoid, ctid) = (${TRADE})`,
      { doubled: 1 },
    ],
    ['one changed price', `UPDATE trades SET price = price / 2 WHERE (tableoid, ctid) = (${TRADE})`, { changed: 1 }],
  ] as const) {
    test(name, async () => {
      const { findings, rows } = await found(recording.damageLedger(sql))
      assert.deepEqual([findings, rows], [[], { ...NONE, ...expected }])
    })
  }
})

describe('damage to the chain of segments', () => {
  test('a removed segment', async () => {
    const { findings, rows } = await found(hideFile(first))
    assert.deepEqual(findings, [`missing ${nameOf(first)}`])
    assert.ok(rows.unknown > 100, 'its rows are on no tape any more')
  })

  test('two segments that changed places', async () => {
    const { findings } = await found(swapFiles(first, second), FILES)
    for (const path of [first, second]) assert.ok(findings.includes(`content ${nameOf(path)}`), findings.join())
  })

  test('a removed segment of which the manifest was made to say nothing', async () => {
    const hidden = await hideFile(first)
    const mended = await damageLines(manifestFile(recording.dataDir), (lines) => {
      const kept = lines.filter((line) => !line.includes(nameOf(first)))
      lines.splice(0, lines.length, ...kept)
    })
    const both = async () => {
      await mended()
      await hidden()
    }
    const { findings } = await found(Promise.resolve(both), FILES)
    assert.ok(findings.includes('manifest manifest'), findings.join())
  })

  test('a segment that nobody wrote', async () => {
    const forged = first.replace(/-(\d{6})\.ndjson\.gz$/, '-000077.ndjson')
    await copyFile(first, `${forged}.gz`)
    const { findings } = await found(
      Promise.resolve(() => rm(`${forged}.gz`)),
      FILES,
    )
    assert.ok(findings.includes(`unlisted ${nameOf(forged)}`), findings.join())
  })
})

describe('damage to the manifest', () => {
  test('a line that was changed to fit a changed segment', async () => {
    const { findings } = await found(
      damageLines(manifestFile(recording.dataDir), (lines) => {
        lines[0] = String(lines[0]).replace(/"lines":(\d+)/, (_, count) => `"lines":${Number(count) - 1}`)
      }),
      FILES,
    )
    assert.ok(findings.includes('manifest manifest'), findings.join())
  })

  test('two lines that changed places', async () => {
    const { findings } = await found(
      damageLines(
        manifestFile(recording.dataDir),
        (lines) => void lines.splice(0, 2, String(lines[1]), String(lines[0])),
      ),
      FILES,
    )
    assert.ok(findings.includes('manifest manifest'), findings.join())
  })

  test('a deleted line', async () => {
    const { findings } = await found(
      damageLines(manifestFile(recording.dataDir), (lines) => void lines.splice(1, 1)),
      FILES,
    )
    assert.ok(findings.includes('manifest manifest'), findings.join())
  })
})

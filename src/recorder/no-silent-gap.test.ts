import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { GapRow } from '../core/coverage.ts'
import { parseTokenId, type TokenId } from '../core/ids.ts'
import type { TapeRecord } from '../core/tape.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { decodeFrame } from '../sources/polymarket/decode.ts'
import { createRecorder } from './recorder.ts'
import { frame, type MemoryLedger, mark, memoryLedger, memoryLog, memoryTape, trustingChecker } from './support.test.ts'

/**
 * Goal: whatever happens to connections, tokens and the recorder itself, a change that was not recorded lies inside a
 * gap of its token, to within a second.
 * Method: a small venue with connections that are dropped, frozen whole or for one token, replaced and killed; it notes
 * every change that no line of the tape tells of. Its tape is read by the real recorder, which is killed as well and
 * goes on from what the ledger has; then the venue's notes are compared with the ledger's gaps.
 */

const TOKENS = ['11', '22', '33', '44'].map(parseTokenId)
const START_MS = 1_790_000_000_000
const SECOND_US = 1_000_000

type Step =
  | { readonly do: 'change'; readonly token: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'drop'; readonly half: number }
  | { readonly do: 'freeze'; readonly half: number }
  | { readonly do: 'replace'; readonly half: number }
  | { readonly do: 'stall'; readonly half: number }
  | { readonly do: 'restore'; readonly half: number }
  | { readonly do: 'freezeToken'; readonly token: number }
  | { readonly do: 'kill' }
  | { readonly do: 'stop' }

const half = fc.nat(1)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('change' as const), token: fc.nat(TOKENS.length - 1) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(20_000) }) },
  ...(['drop', 'freeze', 'replace', 'stall', 'restore'] as const).map((what) => ({
    weight: 2,
    arbitrary: fc.record({ do: fc.constant(what), half }),
  })),
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('freezeToken' as const), token: fc.nat(TOKENS.length - 1) }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ do: 'kill' }, { do: 'stop' }) },
)

interface Link {
  readonly name: string
  frozen: boolean
  readonly frozenTokens: Set<number>
}

/** The venue, and what a listener would have written on its tape. Two tokens share a connection. */
class Scene {
  readonly records: TapeRecord[] = []
  /** Changes that are on no line: when, and whose. */
  readonly missed: { readonly token: TokenId; readonly atUs: number }[] = []
  /** How many lines there were when the process ended. */
  readonly ends: number[] = []
  readonly #versions = TOKENS.map(() => 1)
  readonly #links: (Link | null)[] = [null, null]
  #nowMs = START_MS
  #connections = 0

  constructor() {
    this.#records(mark('b1', this.#us, 'start'))
    this.connect(0)
    this.connect(1)
  }

  run(steps: readonly Step[]): void {
    for (const one of steps) {
      this.#nowMs += 3
      this.#step(one)
    }
    // The faults stop: whatever is frozen is noticed, and everything has a fresh book.
    this.#nowMs += 5_000
    for (const side of [0, 1]) {
      this.#stall(side)
      this.connect(side)
    }
    this.#nowMs += 5_000
    for (const [index] of TOKENS.entries()) this.#change(index)
  }

  connect(side: number): void {
    const before = this.#links[side]
    this.#connections += 1
    const link: Link = { name: `c-${this.#connections}`, frozen: false, frozenTokens: new Set() }
    this.#links[side] = link
    const own = [side * 2, side * 2 + 1]
    this.#records(mark(link.name, this.#us, 'open'))
    this.#records(mark(link.name, this.#us, 'subscribe', { assets_ids: own.map((index) => TOKENS[index]) }))
    this.#records(frame(link.name, this.#us, JSON.stringify(own.map((index) => this.#book(index)))))
    if (before) this.#records(mark(before.name, this.#us, 'close', { code: 1000, reason: `replaced by ${link.name}` }))
  }

  #step(one: Step): void {
    if (one.do === 'change') this.#change(one.token)
    else if (one.do === 'wait') this.#nowMs += one.ms
    else if (one.do === 'drop') this.#drop(one.half)
    else if (one.do === 'freeze') this.#freeze(one.half)
    else if (one.do === 'freezeToken') this.#links[one.token >> 1]?.frozenTokens.add(one.token)
    else if (one.do === 'replace') this.connect(one.half)
    else if (one.do === 'stall') this.#stall(one.half)
    else if (one.do === 'kill' || one.do === 'stop') this.#restart(one.do === 'stop')
    else if (one.do === 'restore' && !this.#links[one.half]) this.connect(one.half)
  }

  #freeze(side: number): void {
    const link = this.#links[side]
    if (link) link.frozen = true
  }

  #change(index: number): void {
    this.#versions[index] = (this.#versions[index] ?? 0) + 1
    const link = this.#links[index >> 1]
    if (!link || link.frozen || link.frozenTokens.has(index)) {
      this.missed.push({ token: TOKENS[index] as TokenId, atUs: this.#us })
      return
    }
    const { asset_id, hash } = this.#book(index)
    const change = { asset_id, price: '0.5', size: String(this.#versions[index]), side: 'BUY', hash }
    const event = { market: 'm', event_type: 'price_change', timestamp: String(this.#nowMs) }
    const best = { best_bid: '0.5', best_ask: '' }
    this.#records(frame(link.name, this.#us, JSON.stringify({ ...event, price_changes: [{ ...change, ...best }] })))
  }

  #drop(side: number): void {
    const link = this.#links[side]
    if (link) this.#records(mark(link.name, this.#us, 'close', { code: 1006, reason: '' }))
    this.#links[side] = null
  }

  #stall(side: number): void {
    const link = this.#links[side]
    if (!link?.frozen) return
    this.#records(mark(link.name, this.#us, 'stall', { reason: 'silent' }))
  }

  /** The process ends, in good order or not, and another one starts some seconds later. */
  #restart(inOrder: boolean): void {
    for (const side of [0, 1]) {
      const link = this.#links[side]
      if (link && inOrder) this.#records(mark(link.name, this.#us, 'close', { code: 1000, reason: 'stopping' }))
      this.#links[side] = null
    }
    if (inOrder) this.#records(mark('b', this.#us, 'stop'))
    this.ends.push(this.records.length)
    this.#nowMs += 2_000
    for (const [index] of TOKENS.entries()) if (index % 2 === 0) this.#change(index)
    this.#nowMs += 1_000
    this.#records(mark('b', this.#us, 'start'))
    this.connect(0)
    this.connect(1)
  }

  #book(index: number) {
    const version = String(this.#versions[index])
    return {
      event_type: 'book',
      market: 'm',
      asset_id: String(TOKENS[index]),
      timestamp: String(this.#nowMs),
      hash: `${index}${version}`.padStart(40, '0'),
      bids: [{ price: '0.5', size: version }],
      asks: [],
      tick_size: '0.01',
      last_trade_price: '',
    }
  }

  #records(record: TapeRecord): void {
    this.records.push(record)
  }

  get #us(): number {
    return this.#nowMs * 1000
  }
}

/** Reads a tape as one process would, killed after `lines` lines; whatever it committed is in the ledger. */
async function read(records: readonly TapeRecord[], ledger: MemoryLedger, lines: number): Promise<void> {
  const tape = memoryTape(records.slice(0, lines), 3)
  tape.end()
  const parts = { checker: trustingChecker(), clock: new SimulatedClock(), log: memoryLog(), decode: decodeFrame }
  const recorder = createRecorder({ recorderId: 'here', stream: 'trades', tape, ledger, ...parts })
  await recorder.run(new AbortController().signal)
}

function gapsOf(ledger: MemoryLedger): GapRow[] {
  const gaps = new Map<number, GapRow>()
  for (const { coverage } of ledger.batches) {
    for (const gap of coverage?.gaps ?? []) gaps.set(gap.no, gap)
    for (const no of coverage?.gapsRemoved ?? []) gaps.delete(no)
  }
  return [...gaps.values()]
}

async function check(steps: readonly Step[], losses: readonly number[]): Promise<void> {
  const scene = new Scene()
  scene.run(steps)
  const ledger = memoryLedger()
  // A killed process leaves the ledger behind its tape by what it had not committed.
  for (const [index, end] of scene.ends.entries()) {
    await read(scene.records, ledger, Math.max(1, end - (losses[index] ?? 0)))
  }
  await read(scene.records, ledger, scene.records.length)
  const gaps = gapsOf(ledger)
  for (const { token, atUs } of scene.missed) {
    const covers = gaps.some(
      ({ tokens, startedUs, endedUs }) =>
        tokens.includes(token) && startedUs - SECOND_US <= atUs && atUs <= (endedUs ?? Infinity) + SECOND_US,
    )
    const rows = gaps
      .filter(({ tokens }) => tokens.includes(token))
      .map(({ cause, startedUs, endedUs }) => {
        return `${cause} ${startedUs / 1000 - START_MS}–${(endedUs ?? Number.NaN) / 1000 - START_MS}`
      })
    assert.ok(covers, `token ${token} missed a change at ${atUs / 1000 - START_MS} ms; its gaps: ${rows.join(', ')}`)
  }
  const open = gaps.filter(({ endedUs }) => endedUs === null)
  assert.deepEqual(open, [], 'every token has its fresh book in the end')
}

test('what was not recorded lies inside a gap of its token, to within a second', async () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 60 })
  const losses = fc.array(fc.nat(8), { maxLength: 8 })
  await fc.assert(fc.asyncProperty(steps, losses, check), { numRuns: 300 })
})

test('a token that froze on a living connection is covered when the connection is lost', async () => {
  const wait = (ms: number): Step => ({ do: 'wait', ms })
  const change = (token: number): Step => ({ do: 'change', token })
  await check([change(0), { do: 'freezeToken', token: 0 }, wait(9_000), change(0), wait(9_000), change(1)], [])
  const lost: Step[] = [
    { do: 'drop', half: 0 },
    { do: 'restore', half: 0 },
  ]
  await check([change(0), { do: 'freezeToken', token: 0 }, wait(9_000), change(0), wait(9_000), change(1), ...lost], [])
})

test('a stop in which every token is in doubt already leaves no gap of nobody', async () => {
  const half = 1
  const steps: Step[] = [{ do: 'drop', half: 0 }, { do: 'freeze', half }, { do: 'stall', half }, { do: 'stop' }]
  // The lines of the end are read again after it.
  await check([...steps, { do: 'change', token: 0 }], [3])
})

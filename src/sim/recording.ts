import { readFileSync } from 'node:fs'
import { EXIT, PermanentError } from '../core/errors.ts'
import type { PlayedTrade } from './account.ts'

/** One frame of a recording, PONGs left out. */
export interface RecordedFrame {
  /** Ms after the first frame. */
  readonly offsetMs: number
  readonly text: string
  /** The trade that the frame tells; null for everything else. */
  readonly trade: PlayedTrade | null
}

export interface RecordedMarket {
  readonly conditionId: string
  /** In the order of their first appearance in a dump. */
  readonly tokens: readonly string[]
  readonly tickSize: string
  readonly version: 'v1' | 'v2'
}

export interface Recording {
  readonly frames: readonly RecordedFrame[]
  readonly markets: readonly RecordedMarket[]
}

type JsonObject = Record<string, unknown>

/** Reads a file of `{"receivedAt","payloadUtf8"}` lines. Throws PermanentError when it is not one. */
export function loadRecording(path: string): Recording {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PermanentError(`cannot read the recording ${path}`, { cause, exitCode: EXIT.usage })
  }
  const frames: RecordedFrame[] = []
  let firstMs: number | null = null
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return
    const { atMs, payload } = parseLine(line, `${path}: line ${index + 1}`)
    firstMs ??= atMs
    if (payload === 'PONG') return
    frames.push({ offsetMs: atMs - firstMs, text: payload, trade: tradeOf(payload) })
  })
  const markets = marketsOf(frames)
  if (markets.length === 0) {
    throw new PermanentError(`${path} has no initial dump to learn markets from`, { exitCode: EXIT.usage })
  }
  return { frames, markets }
}

function parseLine(line: string, where: string): { atMs: number; payload: string } {
  const record = tryJson(line) as JsonObject | null | undefined
  const payload = record?.['payloadUtf8']
  const atMs = Date.parse(String(record?.['receivedAt']))
  if (typeof payload !== 'string' || Number.isNaN(atMs)) {
    throw new PermanentError(`${where} is not {"receivedAt","payloadUtf8"}`, { exitCode: EXIT.usage })
  }
  return { atMs, payload }
}

/** The events in a frame; empty when it is not JSON. */
export function eventsOf(text: string): readonly JsonObject[] {
  const value = tryJson(text)
  if (Array.isArray(value)) return value.filter((item) => typeof item === 'object' && item !== null)
  return typeof value === 'object' && value !== null ? [value as JsonObject] : []
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function tradeOf(text: string): PlayedTrade | null {
  const [event] = eventsOf(text)
  if (event?.['event_type'] !== 'last_trade_price') return null
  const member = (key: string) => String(event[key] ?? '')
  return {
    market: member('market'),
    token: member('asset_id'),
    price: member('price'),
    size: member('size'),
    side: member('side'),
    feeRateBps: member('fee_rate_bps'),
    venueMs: Number(member('timestamp')),
    transactionHash: member('transaction_hash'),
  }
}

/** Markets are learnt from books with a tick size: those of the dumps. */
function marketsOf(frames: readonly RecordedFrame[]): RecordedMarket[] {
  const found = new Map<string, { tokens: string[]; tickSize: string; version: 'v1' | 'v2' }>()
  for (const { text } of frames) {
    for (const event of eventsOf(text)) {
      if (event['event_type'] !== 'book' || typeof event['tick_size'] !== 'string') continue
      const conditionId = String(event['market'])
      const version = event['version'] === 'v2' ? 'v2' : 'v1'
      const known = found.get(conditionId) ?? { tokens: [], tickSize: event['tick_size'], version }
      const token = String(event['asset_id'])
      if (!known.tokens.includes(token)) known.tokens.push(token)
      found.set(conditionId, known)
    }
  }
  return [...found].map(([conditionId, market]) => ({ conditionId, ...market }))
}

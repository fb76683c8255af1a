import { once } from 'node:events'
import { WebSocket } from 'ws'

/** A client of the market channel for tests: keeps every frame and lets a test wait for one. */
export interface TestClient {
  readonly ws: WebSocket
  readonly frames: string[]
  /** Everything but PONG. */
  data(): string[]
  /** Parsed events, dumps taken apart. */
  events(): Record<string, unknown>[]
  send(message: unknown): void
  /** Resolves once the frames so far fit; looks again at every frame. */
  until(fits: () => boolean): Promise<void>
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  close(): Promise<void>
}

const WAIT_MS_MAX = 15_000

export async function connect(url: string): Promise<TestClient> {
  const ws = new WebSocket(url, { perMessageDeflate: false })
  const frames: string[] = []
  const looks = new Set<() => void>()
  ws.on('message', (data) => {
    frames.push(data.toString())
    for (const look of looks) look()
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  await once(ws, 'open')
  const data = () => frames.filter((frame) => frame !== 'PONG')
  return {
    ws,
    frames,
    data,
    events: () => data().flatMap((frame) => JSON.parse(frame) as Record<string, unknown>[]),
    send: (message) => ws.send(typeof message === 'string' ? message : JSON.stringify(message)),
    until(fits) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          looks.delete(look)
          reject(new Error(`waited ${WAIT_MS_MAX} ms in vain after ${frames.length} frames`))
        }, WAIT_MS_MAX)
        const look = () => {
          if (!fits()) return
          clearTimeout(timer)
          looks.delete(look)
          resolve()
        }
        looks.add(look)
        look()
      })
    },
    closed,
    async close() {
      ws.close()
      await closed
    },
  }
}

/** The first frame of a connection. */
export function firstFrame(tokens: readonly string[], more: Record<string, unknown> = {}): Record<string, unknown> {
  return { assets_ids: tokens, type: 'market', initial_dump: true, level: 2, ...more }
}

export interface GammaMarket {
  readonly id: string
  readonly conditionId: string
  readonly orderPriceMinTickSize: number
  readonly negRisk: boolean
  readonly version?: string
  readonly positionIds?: string[]
  readonly clobTokenIds?: string
  readonly [key: string]: unknown
}

export function tokensOf(market: GammaMarket): string[] {
  return market.positionIds ?? (JSON.parse(market.clobTokenIds ?? '[]') as string[])
}

/** Every open market, through all pages. */
export async function allMarkets(gammaUrl: string): Promise<GammaMarket[]> {
  const markets: GammaMarket[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const response = await fetch(`${gammaUrl}/markets/keyset?limit=100&after_cursor=${cursor}`)
    const page = (await response.json()) as { markets: GammaMarket[]; next_cursor?: string }
    markets.push(...page.markets)
    cursor = page.next_cursor
  }
  return markets
}

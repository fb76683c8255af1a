import { request } from 'undici'
import { type Api, type ApiOptions, startApi } from '../../src/api/api.ts'
import type { Clock } from '../../src/core/clock.ts'
import { TransientError } from '../../src/core/errors.ts'
import { CycleCounters } from '../../src/core/statistics.ts'
import type { StatusBoard } from '../../src/core/status.ts'
import { quietLogger } from '../../src/ledger/test-server.ts'
import { EventHub } from '../../src/monitor/event-hub.ts'
import { SimulatedClock } from '../../src/sim/clock.ts'
import { healthyBoard, NOW_MS } from './board.ts'

export interface TestApi {
  readonly api: Api
  readonly events: EventHub
  readonly clock: SimulatedClock
  /** What the API logged. */
  readonly lines: string[]
  /** The board that it shows; may be replaced. */
  board: () => StatusBoard
}

const away = () => Promise.reject(new TransientError('nobody is there'))

/** An API on a free port whose ledger is away, unless `options` bring one. */
export async function startTestApi(options: Partial<ApiOptions> = {}): Promise<TestApi> {
  const clock = new SimulatedClock(NOW_MS)
  const [events, lines, counters] = [new EventHub(), [] as string[], new CycleCounters()]
  const test = { events, clock, lines, board: healthyBoard }
  const numbers = (name: string) => ({ ...counters.statisticsOf(name), uptimeMs: clock.monotonicMs() })
  const api = await startApi({
    host: '127.0.0.1',
    port: 0,
    token: null,
    allowedHosts: [],
    version: '0.1.0',
    clock: clock as Clock,
    log: quietLogger(lines),
    board: () => test.board(),
    ledger: { view: away },
    books: { liveBook: () => null },
    desk: { ensureAsset: away, untrackAsset: away, createPortfolio: away, append: away },
    statistics: { getStatistics: numbers },
    alerts: () => null,
    logs: { getRecentLogs: away, status: () => ({ queued: 0, stored: 0, dropped: 0, trouble: null }) },
    events,
    pageDirectory: null,
    ...options,
  })
  return Object.assign(test, { api })
}

export interface Asked {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'DELETE' | 'OPTIONS' | 'PUT'
  readonly headers?: Record<string, string>
  readonly body?: string
}

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly body: Record<string, unknown>
}

export async function ask(port: number, path: string, asked: Asked = {}): Promise<Answered> {
  const { method = 'GET', headers = {}, body = null } = asked
  const answer = await request(`http://127.0.0.1:${port}${path}`, { method, headers, body })
  const text = await answer.body.text()
  const isJson = /json/.test(String(answer.headers['content-type'])) && text !== ''
  return { status: answer.statusCode, headers: answer.headers, text, body: isJson ? JSON.parse(text) : {} }
}

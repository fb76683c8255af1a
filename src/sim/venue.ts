import type { Clock } from '../core/clock.ts'
import { Account, type ConnectionAccount, type LifecycleEntry, plainFill } from './account.ts'
import { type FrameFiles, openFrameFiles } from './account-files.ts'
import { Channel } from './channel.ts'
import { createClob } from './clob.ts'
import { ControlError, type ControlParts, type ControlResult, carryOut, noteLifecycle } from './control.ts'
import { createData, type DataTrade } from './data.ts'
import { shownTrades } from './data-limits.ts'
import { priceText } from './decimal.ts'
import { Engine, type EngineCounts } from './engine.ts'
import { type FaultCounts, Faults, type HttpReply } from './faults.ts'
import type { Fill } from './frames.ts'
import { createGamma, loadGammaFile } from './gamma.ts'
import { gammaMarket } from './gamma-market.ts'
import { purposeRandom } from './identity.ts'
import { type Journal, openJournal } from './journal.ts'
import type { Listed } from './listing.ts'
import { restBook } from './market.ts'
import { SimNews } from './news.ts'
import type { VenueOptions } from './options.ts'
import { type PlayedState, Player } from './player.ts'
import { loadRecording } from './recording.ts'
import { type HttpRequest, listen, type RouteReply } from './server.ts'
import { createWorld, type World } from './world.ts'
import { createYahoo } from './yahoo.ts'

/** Where a running venue is reached: what a recorder is configured with. */
export interface VenueUrls {
  readonly gamma: string
  readonly clob: string
  readonly data: string
  readonly ws: string
  /** The price API of assets. */
  readonly yahoo: string
  /** Feeds, pages and Hacker News. */
  readonly news: string
}

/** The venue's own account in short; the long lists have addresses of their own. */
export interface AccountSummary {
  readonly seed: number
  readonly nowMs: number
  readonly engine: EngineCounts & { readonly pendingTrades: number; readonly paused: boolean; readonly rate: number }
  readonly connections: readonly ConnectionAccount[]
  readonly lifecycle: readonly LifecycleEntry[]
  readonly totals: {
    readonly frames: number
    readonly bytes: number
    /** Trade frames sent, once for every connection that was given one. */
    readonly trades: number
    /** Old entries that the account has forgotten: above 0 it is no longer complete. */
    readonly forgotten: number
    readonly prices: number
    readonly books: number
    readonly httpFaults: number
  }
  readonly faults: FaultCounts
  readonly requests: Readonly<Record<string, number>>
  readonly played: readonly PlayedState[]
}

/** A simulated venue running in this process. Tests and the demo run it in one of its own instead. */
export interface Venue {
  readonly urls: VenueUrls
  readonly control: string
  account(): AccountSummary
  carryOut(command: unknown): Promise<ControlResult>
  close(): Promise<void>
}

const TICK_MS = 4

interface House extends ControlParts {
  readonly options: VenueOptions
  readonly player: Player | null
  readonly journal: Journal | null
}

/** Opens the port and starts generating. */
export async function startVenue(options: VenueOptions, clock: Clock): Promise<Venue> {
  const stop = new AbortController()
  const house = build(options, clock, stop.signal)
  const extra = [...(house.player?.listed ?? []), ...options.playGamma.flatMap(loadGammaFile)]
  const { host, port } = options
  const route = createRouter(house, extra)
  const server = await listen({ host, port, faults: house.faults, channel: house.channel, route })
  const running = run(house, stop.signal)
  const name = host.includes(':') ? `[${host}]` : host
  const base = `http://${name}:${server.port}`
  return {
    urls: {
      gamma: `${base}/gamma`,
      clob: `${base}/clob`,
      data: `${base}/data`,
      ws: `ws://${name}:${server.port}/ws/market`,
      yahoo: `${base}/yahoo`,
      news: `${base}/news`,
    },
    control: `${base}/sim/control`,
    account: () => summary(house),
    carryOut: (command) => carryOut(house, command),
    async close() {
      stop.abort()
      await running
      await house.player?.close()
      await server.close()
      house.files?.closeAll()
      house.journal?.close()
    },
  }
}

function build(options: VenueOptions, clock: Clock, signal: AbortSignal): House {
  const world = createWorld(options, clock.wallMs())
  const account = new Account()
  const faults = new Faults(purposeRandom(options.seed, 'faults'))
  const { accountDir } = options
  const files: FrameFiles | null = accountDir === null ? null : openFrameFiles(accountDir)
  const journal = accountDir === null ? null : openJournal(accountDir, clock)
  const speed = options.playSpeed
  const player =
    options.play === null ? null : new Player({ recording: loadRecording(options.play), speed, clock, signal })
  const channel = new Channel({ options, world, account, files, faults, clock, foreign: player })
  if (player) {
    player.outlet = {
      send: (connection, kind, text, trade) => channel.send(connection, kind, text, trade ?? undefined),
      flush: () => channel.tick(),
    }
  }
  const noted = notingWorld(world, { account, clock })
  const engine = new Engine(options, noted, channel, clock.monotonicMs(), journal)
  const venueMs = () => clock.wallMs() + faults.clockSkewSeconds * 1_000
  const yahoo = createYahoo(options.seed, clock)
  const news = new SimNews(options.seed, clock)
  const parts = { world: noted, account, faults, files, journal, channel, engine, yahoo, news, clock, venueMs, signal }
  return { options, player, ...parts }
}

/** The same world, writing every later creation and resolution into the account. */
function notingWorld(world: World, parts: Pick<ControlParts, 'account' | 'clock'>): World {
  for (const market of world.markets) noteLifecycle(parts, 'created', market)
  return {
    ...world,
    create(nowMs) {
      const market = world.create(nowMs)
      noteLifecycle(parts, 'created', market)
      return market
    },
    resolve(market, winner, nowMs) {
      world.resolve(market, winner, nowMs)
      noteLifecycle(parts, 'resolved', market)
    },
  }
}

async function run({ engine, channel, clock, venueMs }: House, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    engine.advance(venueMs(), () => clock.monotonicMs())
    channel.tick()
    await clock.sleep(TICK_MS, signal)
  }
}

type Router = (request: HttpRequest) => RouteReply | Promise<RouteReply>

function createRouter(house: House, extra: readonly Listed[]): Router {
  const { world, account, clock, venueMs, yahoo, news } = house
  const gamma = createGamma({ world, account, clock, venueMs, extra })
  const clob = clobOf(house, extra)
  const data = dataOf(house)
  return ({ method, path, query, headers, body, wholePage }) => {
    const [, room, ...rest] = path.split('/')
    const inner = `/${rest.join('/')}`
    if (room !== 'sim') account.request(`${method} /${room}/${rest.slice(0, 2).join('/')}`.slice(0, 80))
    if (room === 'gamma') return gamma(inner, query, wholePage)
    if (room === 'clob') return clob(method, inner, query, body)
    if (room === 'data') return data(inner, query)
    if (room === 'yahoo') return yahoo.handle(inner, query)
    if (room === 'news') return news.handle(inner, query, headers)
    if (path === '/robots.txt') return news.robots()
    return room === 'sim' ? simRoutes(house, method, inner, query, body) : notFound()
  }
}

function clobOf({ world, account, clock, venueMs, player }: House, extra: readonly Listed[]) {
  const byCondition = new Map(extra.map((listed) => [listed.conditionId, listed]))
  return createClob({
    account,
    clock,
    venueMs,
    book(token) {
      const place = world.place(token)
      if (place === undefined) return player?.books.rest(token) ?? null
      if (place.market.closed) return null
      return { ...restBook(place.market, place.outcome), venueMs: place.market.changedMs }
    },
    market(conditionId) {
      const market = world.market(conditionId)
      return market ? gammaMarket(market, venueMs()) : byCondition.get(conditionId)?.object()
    },
    markets: () => [
      ...world.markets.map((market) => gammaMarket(market, venueMs())),
      ...extra.map((listed) => listed.object()),
    ],
    conditionOf: (token) =>
      world.place(token)?.market.conditionId ?? extra.find((listed) => listed.tokens.includes(token))?.conditionId,
    lastTrade(token) {
      const last = world.fills(world.place(token)?.market.conditionId ?? '').at(-1)
      return last ? { price: priceText(last.units), side: last.side } : null
    },
  })
}

function dataOf({ world, player, faults, venueMs }: House) {
  return createData({
    limits: () => faults.data,
    trades(conditionIds) {
      const fills = conditionIds === null ? world.fills() : conditionIds.flatMap((id) => world.fills(id))
      const played = (player?.trades ?? []).filter((trade) => conditionIds?.includes(trade.market) ?? true)
      const trades = [...played, ...fills.map(dataTrade)]
      trades.sort((left, right) => left.sequence - right.sequence)
      return shownTrades(trades, faults.data, venueMs())
    },
    payouts(conditionId) {
      const market = world.market(conditionId)
      if (market === undefined) return undefined
      return market.closedMs === null
        ? null
        : { status: market.resolved ? 'resolved' : 'proposed', atMs: market.closedMs }
    },
  })
}

function dataTrade(fill: Fill): DataTrade {
  const { market, sequence, outcome, wallet } = fill
  return {
    ...plainFill(fill),
    sequence,
    wallet,
    outcome: market.outcomes[outcome],
    outcomeIndex: outcome,
    title: market.question,
    slug: market.slug,
  }
}

async function simRoutes(
  house: House,
  method: string,
  path: string,
  query: URLSearchParams,
  body: string,
): Promise<RouteReply> {
  const { account, files, journal, faults, world, yahoo, news } = house
  if (method === 'POST' && path === '/control') return control(house, body)
  switch (path) {
    case '/account':
      files?.flush()
      journal?.flush()
      return json(200, summary(house))
    case '/account/trades':
      return { lines: account.trades(Number(query.get('after') ?? 0)) }
    case '/account/fills':
      return { lines: world.fills().map((fill) => ({ fill: fill.sequence, ...plainFill(fill) })) }
    case '/account/prices':
      return { lines: account.prices.items }
    case '/account/dropped':
      return { lines: faults.frames.dropped.items }
    case '/account/books':
      return { lines: account.books.items }
    case '/account/quotes':
      return { lines: yahoo.served.items }
    case '/account/news':
      return { lines: news.served() }
    case '/account/stories':
      return { lines: news.stories() }
    case '/state':
      return json(200, state(house, query))
    default:
      return notFound()
  }
}

async function control(house: House, body: string): Promise<HttpReply> {
  try {
    const result = await carryOut(house, JSON.parse(body))
    return json(200, { ok: true, ...result })
  } catch (error) {
    if (error instanceof ControlError || error instanceof SyntaxError) {
      return json(400, { ok: false, error: error.message })
    }
    throw error
  }
}

const STATE_MARKETS_DEFAULT = 100

/** Markets as the venue knows them, a page at a time: what a test compares with. */
function state({ world, options, engine }: House, query: URLSearchParams): unknown {
  const offset = Number(query.get('offset') ?? 0)
  const limit = Number(query.get('limit') ?? STATE_MARKETS_DEFAULT)
  return {
    options,
    engine: engine.counts,
    markets_total: world.markets.length,
    markets_open: world.open.length,
    markets: world.markets.slice(offset, offset + limit).map((market) => ({
      id: market.id,
      condition_id: market.conditionId,
      tokens: market.tokens,
      outcomes: market.outcomes,
      version: market.version,
      neg_risk: market.negRisk,
      tick_size: priceText(market.tickUnits),
      changed_ms: market.changedMs,
      closed: market.closed,
      resolved: market.resolved,
      winner: market.winner,
      hashes: market.closed ? null : [restBook(market, 0).hash, restBook(market, 1).hash],
    })),
  }
}

function summary({ account, engine, faults, options, clock, player }: House): AccountSummary {
  const connections = account.connections.items
  const { prices, books, lifecycle } = account
  const sum = (key: 'frames' | 'bytes') => connections.reduce((total, connection) => total + connection[key], 0)
  const forgotten =
    account.tradesForgotten + prices.dropped + books.dropped + lifecycle.dropped + faults.frames.dropped.dropped
  return {
    seed: options.seed,
    nowMs: clock.wallMs(),
    engine: { ...engine.counts, pendingTrades: engine.pendingTrades, paused: engine.paused, rate: engine.rate },
    connections,
    lifecycle: lifecycle.items,
    totals: {
      frames: sum('frames'),
      bytes: sum('bytes'),
      trades: account.tradesSent,
      forgotten: forgotten + account.connections.dropped,
      prices: prices.total,
      books: books.total,
      httpFaults: faults.httpHits,
    },
    faults: faults.counts,
    requests: Object.fromEntries(account.requests),
    played: player?.states ?? [],
  }
}

function notFound(): HttpReply {
  return json(404, { error: 'not found' })
}

function json(status: number, value: unknown): HttpReply {
  return { status, body: JSON.stringify(value) }
}

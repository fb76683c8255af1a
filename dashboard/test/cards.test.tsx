import type { Collectors, FetcherStatistics, Health } from '../../src/api/contract.ts'
import { type CardCase, describeCard } from './card-states.tsx'
import * as made from './samples.ts'
import './support.tsx'

const { useResource } = await import('../src/data/hooks.ts')
const { LogsCard } = await import('../src/fetcher/logs-card.tsx')
const { RecentUpdatesCard } = await import('../src/fetcher/recent-updates-card.tsx')
const { BookCard } = await import('../src/markets/book-card.tsx')
const { CoverageCard } = await import('../src/markets/coverage-card.tsx')
const { GapsCard } = await import('../src/markets/gaps-card.tsx')
const { MarketView } = await import('../src/markets/market.tsx')
const { Markets } = await import('../src/markets/markets.tsx')
const { TradesCard } = await import('../src/markets/trades-card.tsx')
const { CollectorsCard } = await import('../src/overview/collectors-card.tsx')
const { ProofCard } = await import('../src/overview/proof-card.tsx')
const { statusOfAll, statusOfFetcher } = await import('../src/overview/whole.ts')
const { StatisticsCard } = await import('../src/parts/statistics-card.tsx')
const { StatusCard } = await import('../src/parts/status-card.tsx')

function StatusOfAll() {
  const health = useResource<Health>('api/health', ['status'])
  return <StatusCard of={health} read={(data) => statusOfAll(data, [made.collector()], 4)} />
}

function StatusOfFetcher() {
  return (
    <StatusCard of={useResource<Parameters<typeof statusOfFetcher>[0]>('api/fetcher/status')} read={statusOfFetcher} />
  )
}

function Statistics() {
  const numbers = useResource<FetcherStatistics>('api/fetcher/statistics')
  const cycles = [made.cycle({ id: 3, success: false, error: 'no answer' }), made.cycle({ id: 2 }), made.cycle()]
  return (
    <StatisticsCard
      of={numbers}
      read={(data) => data}
      cycles={numbers.data?.total_cycles ? cycles : []}
      noCycles="Nothing yet."
    />
  )
}

function Proof() {
  return <ProofCard of={useResource<Health>('api/health')} />
}

function AllCollectors() {
  const cycles = new Map([['polymarket.prices', [made.cycle()]]])
  return <CollectorsCard of={useResource<Collectors>('api/collectors')} queueDepth={37} cycles={cycles} />
}

const token = `api/tokens/${made.TOKEN}`
const CASES: readonly CardCase[] = [
  {
    name: 'StatusCard of the recorder',
    element: <StatusOfAll />,
    path: 'api/health',
    good: made.health(),
    shows: [
      /Healthy/,
      /Last update2 s ago/,
      /Next updatein 48 s/,
      /202 tokens, 4 assets/,
      /2 hours 5 minutes/,
      /9\.8\.7/,
    ],
    next: made.health({ status: 'degraded' }),
    showsNext: /Degraded/,
    empty: null,
    showsEmpty: null,
  },
  {
    name: 'StatusCard of the fetcher',
    element: <StatusOfFetcher />,
    path: 'api/fetcher/status',
    good: made.fetcherStatus(),
    shows: [/Running/, /5 s ago/, /in 1 m 30 s/, /4 assets/, /10 minutes/],
    next: made.fetcherStatus({ status: 'error', detail: 'HTTP 500 from yahoo' }),
    showsNext: /Error.*HTTP 500 from yahoo/,
    empty: made.fetcherStatus({ status: 'stopped', detail: 'assets are not enabled', last_update: null }),
    showsEmpty: /Stopped.*Assets are not enabled.*never/,
  },
  {
    name: 'StatisticsCard',
    element: <Statistics />,
    path: 'api/fetcher/statistics',
    good: { ...made.statistics(), assets_tracked: 4 },
    shows: [/99\.5 %/, /199 of 200 cycles succeeded/, /Total cycles200/, /Failed1/, /420 ms/, /2 hours 5 minutes/],
    next: { ...made.statistics({ total_cycles: 201 }), assets_tracked: 4 },
    showsNext: /Total cycles201/,
    empty: { ...made.statistics({ total_cycles: 0, success_rate: null }), assets_tracked: 0 },
    showsEmpty: /Nothing yet\./,
  },
  {
    name: 'Recording',
    element: <Proof />,
    path: 'api/health',
    good: made.health(),
    shows: [
      /1,281 frames accepted, 1\.1 MB/,
      /63 trades stored/,
      /37 frames wait/,
      /1,238 of 1,238 checks match/,
      /No gap/,
    ],
    next: made.health({ ledger: { state: 'unavailable', trouble: 'refused', kind: 'server', server_version: null } }),
    showsNext: /Unavailable.*refused/,
    empty: null,
    showsEmpty: null,
  },
  {
    name: 'Collectors',
    element: <AllCollectors />,
    path: 'api/collectors',
    good: { collectors: [made.collector(), made.failing, made.trades, made.idle] },
    shows: [
      /Its last 3 cycles failed: HTTP 500 from \/books\. It tries again by itself/,
      /polymarket\.orderbooksFailing.*polymarket\.pricesRunning/, // the worst first
      /12 s ago/,
      /99\.5 % 199\/200/,
      /streams without cycles––37live202 of 202 tokens over 1 of 1 connection/,
      /assets\.backfillRunning.*streams without cycles–––liveIt goes on by itself when there is something to do/,
    ],
    next: {
      collectors: [
        made.collector({ state: 'cooling' }),
        made.collector({ name: 'x', last_error: 'HTTP 500', last_error_time: made.at(60) }),
      ],
    },
    showsNext: /Cooling down.*every 5 minutes.*Every 1 m 0 s, as expected\. Last error 1 m 10 s ago: HTTP 500\./,
    empty: { collectors: [] },
    showsEmpty: /no source is enabled/,
  },
  {
    name: 'RecentUpdatesCard',
    element: <RecentUpdatesCard />,
    path: 'api/fetcher/recent-updates',
    good: { updates: [made.update(), made.update({ timestamp: made.at(65), price: '100' })] },
    shows: [/BTC-USDBitcoin/, /101\.5▲ \+1\.50 %Success/],
    next: { updates: [made.update({ timestamp: made.at(1), price: null, success: false, error: 'no such symbol' })] },
    showsNext: /Failureno such symbol/,
    empty: { updates: [] },
    showsEmpty: /No price of an asset has been fetched yet/,
  },
  {
    name: 'LogsCard',
    element: <LogsCard />,
    path: 'api/fetcher/logs',
    good: made.logs(made.entry({ id: 12, level: 'ERROR', message: 'it broke' }), made.entry()),
    shows: [/Error.*it broke/, /Info.*cycle done/, /1 error, 1 info/],
    next: made.logs(made.entry({ id: 13, message: 'it is mended' })),
    showsNext: /it is mended/,
    empty: made.logs(),
    showsEmpty: /The log is empty/,
  },
  {
    name: 'Markets',
    element: <Markets />,
    path: 'api/markets',
    good: { markets: [made.market()], next_cursor: null },
    shows: [/Will it rain\?/, /Yes 62\.5¢/, /1¢/, /\$251/, /Recorded/],
    next: { markets: [made.market({ question: 'Will it snow?' })], next_cursor: null },
    showsNext: /Will it snow\?/,
    empty: { markets: [], next_cursor: null },
    showsEmpty: /No market is known yet/,
  },
  {
    name: 'Order book',
    element: <BookCard tokenId={made.TOKEN} />,
    path: `${token}/book`,
    good: { live: true, book: made.book() },
    shows: [/Ask64¢7.*Spread 2¢, middle 63¢.*Bid62¢10.*Bid61¢20/, /Live from the stream as of 5 s ago/],
    next: { live: false, book: made.book({ asks: [], spread: null, midpoint: null }) },
    showsNext: /One side is empty.*The newest stored one, observed/,
    empty: { live: false, book: null },
    showsEmpty: /No order book/,
  },
  {
    name: 'Trades',
    element: <TradesCard tokenId={made.TOKEN} />,
    path: `${token}/trades`,
    good: { trades: [made.trade(), made.trade()], next_cursor: null },
    shows: [/▲ Buy62¢15live.*▲ Buy62¢15live/],
    next: { trades: [made.trade({ side: 'SELL', origin: 'backfill' })], next_cursor: null },
    showsNext: /▼ Sell62¢15filled in later/,
    empty: { trades: [], next_cursor: null },
    showsEmpty: /No trade of this outcome/,
  },
  {
    name: 'Coverage',
    element: <CoverageCard tokenId={made.TOKEN} />,
    path: `${token}/coverage`,
    good: made.coverage(),
    shows: [
      /98\.333 % of the 1 h 0 m in which it was followed is covered; of 1 m 0 s something may be missing/,
      /verified quiet/,
    ],
    next: made.coverage({ covered_percent: 100, missing_seconds: 0, recorded_seconds: 3_600 }),
    showsNext: /100 % of the 1 h 0 m in which it was followed is covered\./,
    empty: made.coverage({ covered_percent: null }),
    showsEmpty: /has not been followed/,
  },
  {
    name: 'Gaps',
    element: <GapsCard tokenId={made.TOKEN} />,
    path: 'api/gaps',
    good: { gaps: [made.gap()], next_before: null },
    shows: [/1 m 0 s.*the connection was lost.*202 tokens, 200 proven quiet.*4 trades, complete/],
    next: { gaps: [made.gap({ ended_at: null, recovered_trades: 0, backfill_complete: null })], next_before: null },
    showsNext: /open for 10 m.*not tried yet/,
    empty: { gaps: [], next_before: null },
    showsEmpty: /There is no gap/,
  },
  {
    name: 'Market',
    element: <MarketView conditionId={made.CONDITION} />,
    path: `api/markets/${made.CONDITION}`,
    good: market({}),
    shows: [/Will it rain\?/, /Open\./, /Volume\$1,000/, /If a drop falls/],
    next: market({
      closed: true,
      resolution: {
        result: 'winner',
        outcome: 'Yes',
        winner_token_id: made.TOKEN,
        payout_price: '1',
        resolved_at: made.at(1),
        detection_method: 'gamma',
      },
    }),
    showsNext: /Resolved: Yes won and pays 1/,
    empty: market({}),
    showsEmpty: /It has no tokens/,
  },
]

/** Without tokens: the cards of a token have cases of their own. */
function market(change: Parameters<typeof made.market>[0]) {
  return made.market({ tokens: [], ...change })
}

for (const one of CASES) describeCard(one)

import type * as api from '../../src/api/contract.ts'

/** Made-up answers of the API, all of one recorder at one moment. */

export const NOW_MS = Date.parse('2026-05-01T12:00:00.000Z')
export const TOKEN = '7131'
export const CONDITION = `0x${'ab'.repeat(32)}`

export function at(secondsAgo: number): string {
  return new Date(NOW_MS - 1_000 * secondsAgo).toISOString()
}

export function health(change: Partial<api.Health> = {}): api.Health {
  return {
    status: 'healthy',
    reasons: [],
    timestamp: at(0),
    last_scrape_time: at(2),
    last_scrape_success: true,
    scrape_count: 4_321,
    error_count: 0,
    version: '9.8.7',
    uptime_seconds: 7_500,
    tasks_alive: 2,
    tasks_dead: 0,
    total_restarts: 3,
    collectors: {},
    trade_listener: {
      trades_received: 70,
      trades_inserted: 63,
      batches_inserted: 5,
      connections_active: 1,
      connections_wanted: 1,
      connections_stalled: 0,
      tokens_subscribed: 202,
      tokens_wanted: 202,
      frames_received: 1_300,
      reconnections: 0,
      queue_depth: 37,
      last_trade_ts: at(1),
      last_insert_ts: at(1),
      last_reconnect_ts: null,
      started_at: at(7_500),
    },
    tape: {
      state: 'ok',
      trouble: null,
      frames_accepted: 1_281,
      bytes_accepted: 1_100_000,
      frames_refused: 0,
      pending_bytes: 0,
      segments: 2,
      bytes_on_disk: 1_100_000,
      damaged_lines: 0,
    },
    ledger: { state: 'ok', trouble: null, kind: 'embedded', server_version: '18.4' },
    recorder: {
      caught_up: true,
      behind_bytes: 0,
      trouble: null,
      duplicates: 0,
      rejects: 0,
      dead_letters: 0,
      unknown_events: 0,
      books_kept: 200,
    },
    book_checks: { match: 1_238, mismatch: 0, unverifiable: 0, skipped: 0 },
    coverage: { gaps_opened: 0, tokens_in_doubt: 0, comparisons: { equal: 11, older: 0, ahead: 0, skipped: 0 } },
    ...change,
  }
}

export function statistics(change: Partial<api.CollectorStatistics> = {}): api.CollectorStatistics {
  return {
    uptime_seconds: 7_500,
    total_cycles: 200,
    successful_cycles: 199,
    failed_cycles: 1,
    success_rate: 99.5,
    average_cycle_duration_seconds: 0.42,
    last_cycle_duration_seconds: 0.4,
    p50_cycle_duration_seconds: 0.4,
    p95_cycle_duration_seconds: 0.9,
    ...change,
  }
}

export function collector(change: Partial<api.Collector> = {}): api.Collector {
  return {
    name: 'polymarket.prices',
    kind: 'polling',
    critical: true,
    status: 'running',
    state: 'running',
    interval_seconds: 60,
    last_update: at(12),
    next_update_in_seconds: 48,
    items: 414,
    last_cycle_success: true,
    consecutive_failures: 0,
    skipped_cycles: 0,
    restarts: 0,
    last_error: null,
    last_error_time: null,
    statistics: statistics(),
    stream: null,
    ...change,
  }
}

export const failing = collector({
  name: 'polymarket.orderbooks',
  status: 'error',
  last_cycle_success: false,
  consecutive_failures: 3,
  last_error: 'HTTP 500 from /books',
})

export const trades = collector({
  name: 'polymarket.trades',
  kind: 'streaming',
  interval_seconds: 30,
  next_update_in_seconds: null,
  statistics: statistics({ total_cycles: 1, successful_cycles: 1, failed_cycles: 0, success_rate: 100 }),
  stream: {
    tokens_wanted: 202,
    tokens_subscribed: 202,
    connections_wanted: 1,
    connections_active: 1,
    connections_stalled: 0,
    reconnections: 0,
    frames_received: 1_300,
    bytes_received: 1_000_000,
    frames_refused: 0,
    last_data: at(0),
    trouble: null,
  },
})

/** A stream that follows no tokens. */
export const idle = collector({
  ...trades,
  name: 'assets.backfill',
  stream: trades.stream && { ...trades.stream, tokens_wanted: 0, tokens_subscribed: 0 },
})

export function cycle(change: Partial<api.Cycle> = {}): api.Cycle {
  return {
    id: 1,
    collector: 'polymarket.prices',
    started_at: at(12),
    duration_seconds: 0.4,
    success: true,
    items: 3,
    error: null,
    details: {},
    ...change,
  }
}

export function fetcherStatus(change: Partial<api.FetcherStatus> = {}): api.FetcherStatus {
  return {
    status: 'running',
    detail: null,
    uptime_seconds: 7_500,
    last_update: at(5),
    next_update_in_seconds: 90,
    tracked_assets_count: 4,
    update_interval_minutes: 10,
    ...change,
  }
}

export function update(change: Partial<api.PriceUpdate> = {}): api.PriceUpdate {
  return {
    symbol: 'BTC-USD',
    name: 'Bitcoin',
    timestamp: at(5),
    price: '101.5',
    success: true,
    error: null,
    duration_ms: 12,
    ...change,
  }
}

export function entry(change: Partial<api.LogEntry> = {}): api.LogEntry {
  return { id: 11, timestamp: at(5), level: 'INFO', message: 'cycle done', context: { items: 3 }, ...change }
}

export function logs(...entries: api.LogEntry[]): api.Logs {
  return { logs: entries, total: entries.length, limit: 200, offset: 0, next_before: null }
}

export function market(change: Partial<api.MarketDetail> = {}): api.MarketDetail {
  return {
    condition_id: CONDITION,
    question: 'Will it rain?',
    slug: 'will-it-rain',
    category: 'Weather',
    event_title: null,
    active: true,
    closed: false,
    accepting_orders: true,
    end_at: null,
    volume: '1000',
    volume_24h: '250.5',
    liquidity: '10',
    updated_at: at(5),
    winning_outcome: null,
    tokens: [
      {
        token_id: TOKEN,
        outcome: 'Yes',
        price: 0.625,
        price_time: at(5),
        spread: 0.01,
        midpoint: 0.625,
        book_time: at(5),
        coverage: { recording: true, since: at(600), verified_at: at(5), gap_open: false, missing_seconds_24h: 0 },
      },
    ],
    description: 'If a drop falls.',
    event_id: null,
    start_at: null,
    closed_at: null,
    archived: false,
    neg_risk: false,
    tick_size: '0.01',
    min_order_size: '5',
    resolution: null,
    ...change,
  }
}

export function trade(change: Partial<api.Trade> = {}): api.Trade {
  return {
    timestamp: at(5),
    side: 'BUY',
    price: 0.62,
    size: 15,
    transaction_hash: '0x1',
    origin: 'stream',
    ...change,
  }
}

export function book(change: Partial<api.Book> = {}): api.Book {
  return {
    timestamp: at(5),
    venue_time: at(9),
    bids: [
      { price: 0.62, size: 10 },
      { price: 0.61, size: 20 },
    ],
    asks: [{ price: 0.64, size: 7 }],
    spread: 0.02,
    midpoint: 0.63,
    ...change,
  }
}

export function coverage(change: Partial<api.Coverage> = {}): api.Coverage {
  return {
    token_id: TOKEN,
    from: at(86_400),
    to: at(0),
    intervals: [
      { from: at(86_400), to: at(3_600), state: 'not_recorded', cause: null, gap_id: null, proven_quiet: false },
      { from: at(3_600), to: at(600), state: 'recorded', cause: null, gap_id: null, proven_quiet: false },
      { from: at(600), to: at(540), state: 'gap', cause: 'disconnect', gap_id: 5, proven_quiet: false },
      { from: at(540), to: at(0), state: 'recorded', cause: null, gap_id: null, proven_quiet: false },
    ],
    recorded_seconds: 3_540,
    missing_seconds: 60,
    covered_percent: 98.333,
    ...change,
  }
}

export function gap(change: Partial<api.Gap> = {}): api.Gap {
  return {
    gap_id: 5,
    recorder_id: 'recorder-1',
    stream: 'polymarket.trades',
    started_at: at(600),
    ended_at: at(540),
    cause: 'disconnect',
    token_count: 202,
    quiet_token_count: 200,
    evidence: {},
    recovered_trades: 4,
    backfill_complete: true,
    backfill_error: null,
    ...change,
  }
}

export function performance(change: Partial<api.Performance> = {}): api.Performance {
  return {
    current_value: '1800',
    invested: '1684.35',
    profit: '115.65',
    profit_percent: '6.87',
    realized: '22.85',
    day_change: { money: '-12.5', percent: '-0.69' },
    week_change: { money: '40', percent: '2.27' },
    month_change: null,
    year_change: null,
    positions: 1,
    missing_count: 0,
    missing: [],
    oldest_price_at: at(90),
    oldest_price_age_seconds: 90,
    updated_at: at(3),
    ...change,
  }
}

export function position(change: Partial<api.Position> = {}): api.Position {
  return {
    symbol: 'AAPL',
    name: 'Apple',
    type: 'stock',
    currency: 'USD',
    quantity: '9',
    average_cost: '187.15',
    invested: '1684.35',
    price: '200',
    price_at: at(90),
    exchange_rate: '1',
    value: '1800',
    profit: '115.65',
    ...change,
  }
}

export function portfolio(change: Partial<api.PortfolioDetail> = {}): api.PortfolioDetail {
  return {
    id: 7,
    name: 'savings',
    currency: 'USD',
    created_at: at(86_400),
    performance: performance(),
    positions: [position()],
    ...change,
  }
}

export function snapshot(day: string, value: string, missing = 0): api.Snapshots['snapshots'][number] {
  return { day, current_value: value, invested: '1684.35', profit: '0', realized: '0', missing_count: missing }
}

export function transaction(
  change: Partial<api.Transactions['transactions'][number]> = {},
): api.Transactions['transactions'][number] {
  return {
    id: '1',
    symbol: 'AAPL',
    side: 'buy',
    quantity: '9',
    price: '187.15',
    fee: '0',
    currency: 'USD',
    exchange_rate: null,
    executed_at: at(3_600),
    notes: null,
    ...change,
  }
}

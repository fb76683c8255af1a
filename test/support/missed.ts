import { join } from 'node:path'
import pg from 'pg'
import type { PartialVenueOptions } from '../../src/sim/options.ts'
import { startVenueProcess, type VenueProcess } from '../../src/sim/process.ts'
import { assertSame, type Multiset, sum } from './compare.ts'
import { Daemon, removeDirectory, temporaryDirectory, venueEnvironment } from './daemon.ts'
import { until } from './processes.ts'

interface SimFill {
  readonly token: string
  readonly price: string
  readonly size: string
  readonly side: string
  readonly transactionHash: string
}

export interface FilledGap {
  readonly gap_id: string
  readonly cause: string
  readonly backfill_complete: boolean | null
  readonly backfill_attempts: number
  readonly backfill_error: string | null
  readonly backfill_next_at: Date | null
  readonly recovered_trades: number
}

/** A simulated venue that trades when it is told to, and a real daemon that may miss some of it. */
export class MissingScene {
  readonly venue: VenueProcess
  readonly #directory: string
  readonly #markets: number
  #daemon: Daemon | undefined

  constructor(venue: VenueProcess, directory: string, markets: number) {
    this.venue = venue
    this.#directory = directory
    this.#markets = markets
  }

  /** Every second match is two identical fills. */
  static async open(options: PartialVenueOptions & { markets: number }): Promise<MissingScene> {
    const directory = await temporaryDirectory()
    const venue = await startVenueProcess({ rate: 0, tradeShare: 0.5, identicalFillShare: 0.5, ...options })
    const scene = new MissingScene(venue, directory, options.markets)
    await scene.start()
    return scene
  }

  get daemon(): Daemon {
    if (this.#daemon === undefined) throw new Error('the daemon does not run')
    return this.#daemon
  }

  async start(): Promise<void> {
    const env = { ...venueEnvironment(this.venue.urls), TAPEKEEPER_POLYMARKET_BACKFILL_INTERVAL: '1s' }
    this.#daemon = await Daemon.start(join(this.#directory, 'data'), env)
    await this.daemon.whenHealth('every token is subscribed', (body) => {
      const listener = body['trade_listener'] as { tokens_subscribed: number }
      return body.status === 'healthy' && listener.tokens_subscribed >= 2 * this.#markets
    })
  }

  async close(): Promise<void> {
    await this.#daemon?.end('SIGTERM')
    await this.venue.stop()
    await removeDirectory(this.#directory)
  }

  /** The venue trades; resolves when all of it has happened. */
  async trade(steps: number): Promise<void> {
    await this.venue.control({ step: steps })
    await this.venue.control({ drain: true })
    await this.venue.control({ resume: true })
  }

  /** The venue trades, and tells nobody of every second trade, `count` times. */
  async loseTrades(count: number): Promise<void> {
    await this.venue.control({ dropFrames: { kind: 'last_trade_price', count, every: 2 } })
    await this.trade(200)
  }

  /** The venue's own account of everything that was traded. */
  async traded(): Promise<Multiset> {
    const text = await (await fetch(`${new URL(this.venue.urls.gamma).origin}/sim/account/fills`)).text()
    const counts: Multiset = new Map()
    for (const line of text.split('\n')) {
      if (line === '') continue
      const key = keyOf(JSON.parse(line) as SimFill)
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    return counts
  }

  async stored(origin: 'stream' | 'backfill' | null = null): Promise<Multiset> {
    const rows = await this.daemon.query<SimFill & { count: number }>(
      `SELECT token_id AS token, transaction_hash AS "transactionHash", price, size, side, count(*)::int AS count
       FROM v_trades WHERE $1::text IS NULL OR origin = $1 GROUP BY 1, 2, 3, 4, 5`,
      [origin],
    )
    return new Map(rows.map((row) => [keyOf(row), row.count]))
  }

  /** Waits until the ledger has as many trades as the venue, then compares them one by one. */
  async whenComplete(what: string): Promise<void> {
    const expected = await this.traded()
    const whole = async () => (sum(await this.stored()) >= sum(expected) ? true : undefined)
    await until(what, whole, 40_000).catch(() => undefined)
    assertSame(what, await this.stored(), expected)
  }

  /** A closed gap of every token, as if it had been found later. Returns its number. */
  async insertGap(startedMs: number, endedMs: number): Promise<string> {
    const rows = await this.daemon.query<{ gap_id: string }>(
      `INSERT INTO coverage_gaps (recorder_id, stream, started_at, ended_at, cause, tokens)
       SELECT (SELECT recorder_id FROM tape_positions LIMIT 1), 'polymarket.trades', to_timestamp($1 / 1000.0),
              to_timestamp($2 / 1000.0), 'stall', array_agg(token_key) FROM tokens RETURNING gap_id`,
      [startedMs, endedMs],
    )
    return String(rows[0]?.gap_id)
  }

  /** Waits for a gap, of this number if there is one, that is as asked for. */
  async whenGap(what: string, gapId: string | null, fits: (gap: FilledGap) => boolean): Promise<FilledGap> {
    const ask = 'SELECT * FROM coverage_gaps WHERE $1::bigint IS NULL OR gap_id = $1'
    let gaps: FilledGap[] = []
    const asked = async () => {
      gaps = await this.daemon.query<FilledGap>(ask, [gapId])
      return gaps.find(fits)
    }
    return await until(what, asked, 90_000).catch((error: unknown) => {
      throw new Error(`${what}: ${JSON.stringify(gaps)}`, { cause: error })
    })
  }

  /** Gaps that wait for their next attempt have it now. */
  async hurry(): Promise<void> {
    await this.daemon.query('UPDATE coverage_gaps SET backfill_next_at = NULL WHERE backfill_complete IS NULL')
  }

  /** Keeps everybody from writing trades until it is released. */
  async lockTrades(): Promise<{ release(): Promise<void> }> {
    const client = new pg.Client({ connectionString: await this.daemon.connectionString() })
    client.on('error', () => undefined)
    await client.connect()
    await client.query('BEGIN; LOCK TABLE trades IN SHARE MODE')
    return { release: () => client.end() }
  }
}

function keyOf({ token, transactionHash, price, size, side }: SimFill): string {
  return [token, transactionHash, Number(price), Number(size), side].join('|')
}

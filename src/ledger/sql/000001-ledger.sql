-- What the recorder stores. Names are resolved through search_path, so that a second copy can live in another schema.
-- Tick tables carry a small token key and are partitioned by UTC day of `ts`; their partitions are made by the program.

CREATE TABLE markets (
  condition_id      text PRIMARY KEY,
  venue_market_id   text,
  question          text NOT NULL,
  slug              text NOT NULL,
  description       text,
  category          text,
  event_id          text,
  event_title       text,
  active            boolean NOT NULL,
  closed            boolean NOT NULL,
  archived          boolean NOT NULL,
  accepting_orders  boolean NOT NULL,
  neg_risk          boolean,
  tick_size         text,
  min_order_size    text,
  version           text,
  start_at          timestamptz,
  end_at            timestamptz,
  closed_at         timestamptz,
  volume            numeric,
  volume_24h        numeric,
  liquidity         numeric,
  resolution_status text,
  raw               jsonb DEFAULT '{}',
  raw_at            timestamptz,
  raw_hash          text,
  row_hash          text NOT NULL DEFAULT '',
  first_seen_at     timestamptz NOT NULL,
  updated_at        timestamptz NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE markets IS
  'Prediction markets as last seen. raw: what the venue sent beyond the columns, at most an hour behind.';

-- Written on every listing; kept apart from markets so that these writes stay small.
CREATE TABLE market_checks (
  condition_id text PRIMARY KEY,
  seen_at      timestamptz,
  checked_at   timestamptz,
  resolved     boolean NOT NULL DEFAULT false,
  ended        boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);
COMMENT ON TABLE market_checks IS
  'seen_at: its newest listing; checked_at: last question for its resolution; ended: the stream said so.';

CREATE TABLE market_listing (
  only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  newest_at timestamptz NOT NULL
);

CREATE TABLE tokens (
  token_key     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  token_id      text NOT NULL UNIQUE,
  condition_id  text,
  outcome       text,
  outcome_index smallint
);
CREATE INDEX tokens_condition_id ON tokens (condition_id);
COMMENT ON TABLE tokens IS 'Outcome tokens. A token can be known before its market is.';

CREATE TABLE resolutions (
  condition_id     text PRIMARY KEY,
  result           text NOT NULL CHECK (result IN ('winner', 'split')),
  outcome          text,
  winner_token_id  text,
  payout_price     numeric NOT NULL,
  resolved_at      timestamptz NOT NULL,
  detection_method text NOT NULL,
  detected_at      timestamptz NOT NULL
);
CREATE INDEX resolutions_resolved_at ON resolutions (resolved_at);

CREATE TABLE price_snapshots (
  ts         timestamptz NOT NULL,
  price      double precision NOT NULL CHECK (price >= 0 AND price <= 1),
  volume_24h double precision,
  token_key  integer NOT NULL,
  PRIMARY KEY (token_key, ts)
) PARTITION BY RANGE (ts);

CREATE TABLE last_prices (
  token_key  integer PRIMARY KEY,
  stored_at  timestamptz NOT NULL,
  price      double precision NOT NULL,
  volume_24h double precision
) WITH (fillfactor = 70);
COMMENT ON TABLE last_prices IS
  'The newest stored row of price_snapshots per token; decides whether the next one is worth a row.';

CREATE TABLE orderbook_snapshots (
  ts         timestamptz NOT NULL,
  venue_at   timestamptz NOT NULL,
  spread     double precision,
  midpoint   double precision,
  token_key  integer NOT NULL,
  hash       text NOT NULL,
  bid_prices double precision[] NOT NULL,
  bid_sizes  double precision[] NOT NULL,
  ask_prices double precision[] NOT NULL,
  ask_sizes  double precision[] NOT NULL,
  PRIMARY KEY (token_key, ts)
) PARTITION BY RANGE (ts);
COMMENT ON TABLE orderbook_snapshots IS
  'ts: when it was observed; venue_at: the last change of the book at the venue. Best level first.';

CREATE TABLE last_books (
  token_key integer PRIMARY KEY,
  stored_at timestamptz NOT NULL,
  hash      text NOT NULL
) WITH (fillfactor = 70);

-- The identity of a streamed row is its primary key: the same event seen twice is one row.
CREATE TABLE trades (
  ts               timestamptz NOT NULL,
  received_at      timestamptz NOT NULL,
  price            double precision NOT NULL CHECK (price >= 0 AND price <= 1),
  size             double precision NOT NULL CHECK (size >= 0 AND size < 'Infinity'),
  fee_rate_bps     double precision,
  token_key        integer NOT NULL,
  ordinal          integer NOT NULL,
  content_hash     uuid NOT NULL,
  side             "char" NOT NULL CHECK (side IN ('B', 'S')),
  origin           "char" NOT NULL CHECK (origin IN ('s', 'b')),
  transaction_hash text NOT NULL,
  PRIMARY KEY (token_key, ts, content_hash, ordinal)
) PARTITION BY RANGE (ts);
CREATE INDEX trades_ts ON trades USING brin (ts) WITH (autosummarize = on);
COMMENT ON TABLE trades IS
  'side: B(uy) or S(ell) of the taker; origin: s(tream) or b(ackfill). Read it through v_trades.';

CREATE TABLE tick_size_changes (
  ts            timestamptz NOT NULL,
  received_at   timestamptz NOT NULL,
  token_key     integer NOT NULL,
  ordinal       integer NOT NULL,
  content_hash  uuid NOT NULL,
  old_tick_size text NOT NULL,
  new_tick_size text NOT NULL,
  PRIMARY KEY (token_key, ts, content_hash, ordinal)
) PARTITION BY RANGE (ts);

CREATE TABLE market_events (
  ts               timestamptz NOT NULL,
  received_at      timestamptz NOT NULL,
  ordinal          integer NOT NULL,
  content_hash     uuid NOT NULL,
  kind             text NOT NULL CHECK (kind IN ('new_market', 'market_resolved')),
  condition_id     text NOT NULL,
  winning_token_id text,
  raw              jsonb NOT NULL,
  PRIMARY KEY (condition_id, ts, content_hash, ordinal)
) PARTITION BY RANGE (ts);

-- Kept for ever. open is the earliest price of the hour (the first to arrive of equals), close the latest (the last).
-- One table for prices and volumes: a second one would make every trade a fifth dearer.
CREATE TABLE price_candles_1h (
  hour      timestamptz NOT NULL,
  open_at   timestamptz NOT NULL,
  close_at  timestamptz NOT NULL,
  open      double precision NOT NULL,
  high      double precision NOT NULL,
  low       double precision NOT NULL,
  close     double precision NOT NULL,
  token_key integer NOT NULL,
  trades    integer NOT NULL,
  buys      integer NOT NULL,
  shares    numeric NOT NULL,
  notional  numeric NOT NULL,
  source    text NOT NULL CHECK (source IN ('trade', 'snapshot')),
  PRIMARY KEY (token_key, hour, source)
) WITH (fillfactor = 70);
COMMENT ON TABLE price_candles_1h IS
  'Per token and UTC hour, from trades and, for quiet tokens, from price snapshots (trades = 0).';

CREATE VIEW trade_volume_1h AS
SELECT token_key, hour, trades, buys, trades - buys AS sells, shares, notional
FROM price_candles_1h
WHERE source = 'trade';
COMMENT ON VIEW trade_volume_1h IS
  'Per token and UTC hour: shares traded and their notional (price times size) in USDC. Exact sums.';

CREATE TABLE tape_positions (
  recorder_id    text NOT NULL,
  stream         text NOT NULL,
  segment        text NOT NULL,
  segment_offset bigint NOT NULL,
  line           bigint NOT NULL,
  at             timestamptz,
  updated_at     timestamptz NOT NULL,
  PRIMARY KEY (recorder_id, stream)
) WITH (fillfactor = 50);

CREATE TABLE dead_letters (
  id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at     timestamptz NOT NULL,
  source text NOT NULL,
  reason text NOT NULL,
  raw    text NOT NULL
);
CREATE INDEX dead_letters_at ON dead_letters (at);

-- What the hourly limit on dead_letters cost.
CREATE TABLE dead_letter_hours (
  hour    timestamptz PRIMARY KEY,
  offered bigint NOT NULL,
  kept    bigint NOT NULL
);

CREATE TABLE collector_cycles (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  collector   text NOT NULL,
  started_at  timestamptz NOT NULL,
  duration_ms double precision NOT NULL,
  ok          boolean NOT NULL,
  items       bigint NOT NULL,
  error       text,
  details     jsonb NOT NULL
);
CREATE INDEX collector_cycles_collector ON collector_cycles (collector, started_at);
CREATE INDEX collector_cycles_started_at ON collector_cycles (started_at);

-- The stable interface for people and other tools.
CREATE VIEW v_trades AS
SELECT r.ts,
       t.token_id,
       t.condition_id,
       t.outcome,
       CASE r.side WHEN 'B' THEN 'BUY' ELSE 'SELL' END AS side,
       r.price,
       r.size,
       r.transaction_hash,
       CASE r.origin WHEN 's' THEN 'stream' ELSE 'backfill' END AS origin
FROM trades r JOIN tokens t USING (token_key);

CREATE VIEW v_prices AS
SELECT p.ts, t.token_id, p.price, p.volume_24h
FROM price_snapshots p JOIN tokens t USING (token_key);

CREATE VIEW v_orderbooks AS
SELECT b.ts,
       t.token_id,
       coalesce((SELECT jsonb_agg(jsonb_build_object('price', l.price, 'size', l.size) ORDER BY l.n)
                 FROM unnest(b.bid_prices, b.bid_sizes) WITH ORDINALITY AS l (price, size, n)), '[]') AS bids,
       coalesce((SELECT jsonb_agg(jsonb_build_object('price', l.price, 'size', l.size) ORDER BY l.n)
                 FROM unnest(b.ask_prices, b.ask_sizes) WITH ORDINALITY AS l (price, size, n)), '[]') AS asks,
       b.spread,
       b.midpoint
FROM orderbook_snapshots b JOIN tokens t USING (token_key);

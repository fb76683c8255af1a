-- Assets with prices, and the portfolios that hold them. Money is numeric; quantities and rates too.

CREATE TABLE assets (
  asset_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  symbol     text NOT NULL UNIQUE CHECK (symbol <> ''),
  name       text NOT NULL,
  type       text NOT NULL CHECK (type IN ('stock', 'etf', 'crypto', 'fund', 'currency', 'commodity', 'outcome')),
  exchange   text,
  currency   text CHECK (currency ~ '^[A-Z0-9]{2,10}$'),
  active     boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE assets IS
  'symbol: as the price source writes it (AAPL, BTC-USD, EURUSD=X), or the id of an outcome token. '
  'currency: that of its prices, null until the first one said so. active: whether it may be priced at all.';

CREATE TABLE tracked_assets (
  asset_id   integer PRIMARY KEY REFERENCES assets,
  tracked_at timestamptz NOT NULL DEFAULT now(),
  asked_at   timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE tracked_assets IS 'Assets that are priced in every cycle. asked_at: the newest attempt.';

-- Kept for ever and not partitioned.
CREATE TABLE asset_prices (
  ts       timestamptz NOT NULL,
  asset_id integer NOT NULL REFERENCES assets,
  kind     "char" NOT NULL CHECK (kind IN ('q', 'd')),
  open     numeric CHECK (open >= 0),
  high     numeric CHECK (high >= 0),
  low      numeric CHECK (low >= 0),
  close    numeric NOT NULL CHECK (close >= 0 AND close < 'Infinity'),
  volume   numeric CHECK (volume >= 0),
  source   text NOT NULL,
  PRIMARY KEY (asset_id, ts, kind)
);
COMMENT ON TABLE asset_prices IS
  'kind q(uote): a price at ts, with the day so far. kind d(ay): a whole day, ts is the midnight (UTC) that ends it. '
  'close is the price.';

CREATE TABLE exchange_rates (
  ts     timestamptz NOT NULL,
  base   text NOT NULL,
  quote  text NOT NULL,
  rate   numeric NOT NULL CHECK (rate > 0 AND rate < 'Infinity'),
  source text NOT NULL,
  PRIMARY KEY (base, quote, ts)
);
COMMENT ON TABLE exchange_rates IS 'One unit of base is worth rate units of quote.';

-- Every attempt to get a price, failed or not.
CREATE TABLE price_update_log (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL,
  duration_ms double precision NOT NULL,
  asset_id    integer NOT NULL REFERENCES assets,
  success     boolean NOT NULL,
  price       numeric,
  source      text NOT NULL,
  error       text,
  UNIQUE (asset_id, at),
  CHECK (success = (price IS NOT NULL) AND success = (error IS NULL))
);
CREATE INDEX price_update_log_at ON price_update_log (at, id);

CREATE TABLE portfolios (
  portfolio_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text NOT NULL UNIQUE CHECK (name <> ''),
  currency     text NOT NULL CHECK (currency ~ '^[A-Z0-9]{2,10}$'),
  revision     bigint NOT NULL DEFAULT 0,
  created_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE portfolios IS 'revision: counts changes of its transactions; a value belongs to one of them.';

CREATE TABLE transactions (
  transaction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  executed_at    timestamptz NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now(),
  portfolio_id   integer NOT NULL REFERENCES portfolios,
  asset_id       integer NOT NULL REFERENCES assets,
  side           text NOT NULL CHECK (side IN ('buy', 'sell')),
  quantity       numeric NOT NULL CHECK (quantity > 0 AND quantity < 'Infinity'),
  price          numeric NOT NULL CHECK (price >= 0 AND price < 'Infinity'),
  fee            numeric NOT NULL DEFAULT 0 CHECK (fee >= 0 AND fee < 'Infinity'),
  exchange_rate  numeric CHECK (exchange_rate > 0 AND exchange_rate < 'Infinity'),
  notes          text
);
CREATE INDEX transactions_portfolio ON transactions (portfolio_id, asset_id, executed_at, transaction_id);
CREATE INDEX transactions_asset ON transactions (asset_id, executed_at);
COMMENT ON TABLE transactions IS
  'price and fee are in the currency of the asset. exchange_rate: units of the portfolio''s currency for one of the '
  'asset''s; null: the rate of that time is looked up.';

CREATE TABLE portfolio_positions (
  portfolio_id    integer NOT NULL REFERENCES portfolios,
  asset_id        integer NOT NULL REFERENCES assets,
  quantity        numeric NOT NULL CHECK (quantity >= 0),
  average_cost    numeric NOT NULL,
  cost            numeric NOT NULL,
  realized        numeric NOT NULL,
  fees            numeric NOT NULL,
  invested        numeric,
  realized_money  numeric,
  first_bought_at timestamptz NOT NULL,
  updated_at      timestamptz NOT NULL,
  PRIMARY KEY (portfolio_id, asset_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE portfolio_positions IS
  'From transactions, at average cost with fees, in the currency of the asset. invested, realized_money: the same in '
  'the portfolio''s currency at the rates of the transactions; null where one of these is not known.';

CREATE TABLE portfolio_performance_cache (
  portfolio_id         integer PRIMARY KEY REFERENCES portfolios,
  revision             bigint NOT NULL,
  current_value        numeric NOT NULL,
  invested             numeric NOT NULL,
  profit               numeric NOT NULL,
  profit_percent       numeric,
  realized             numeric NOT NULL,
  day_change           numeric,
  day_change_percent   numeric,
  week_change          numeric,
  week_change_percent  numeric,
  month_change         numeric,
  month_change_percent numeric,
  year_change          numeric,
  year_change_percent  numeric,
  positions            integer NOT NULL,
  missing              jsonb NOT NULL,
  missing_count        integer NOT NULL,
  oldest_price_at      timestamptz,
  oldest_price_age_ms  double precision,
  holdings             jsonb NOT NULL,
  updated_at           timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE portfolio_performance_cache IS
  'In the portfolio''s currency. missing: prices and rates that are not known; what needs them is left out, not guessed. '
  'A change is null where a price or rate of then is not known. oldest_price_age_ms: at updated_at.';

CREATE TABLE portfolio_snapshots (
  portfolio_id  integer NOT NULL REFERENCES portfolios,
  day           date NOT NULL,
  current_value numeric NOT NULL,
  invested      numeric NOT NULL,
  profit        numeric NOT NULL,
  realized      numeric NOT NULL,
  positions     integer NOT NULL,
  missing_count integer NOT NULL,
  taken_at      timestamptz NOT NULL,
  PRIMARY KEY (portfolio_id, day)
) WITH (fillfactor = 70);
COMMENT ON TABLE portfolio_snapshots IS 'The last value of each UTC day.';

-- One row per asset whose daily history is wanted.
CREATE TABLE backfill_queue (
  asset_id     integer PRIMARY KEY REFERENCES assets,
  from_day     date NOT NULL,
  state        text NOT NULL CHECK (state IN ('pending', 'in_progress', 'rate_limited', 'completed', 'failed')),
  attempts     integer NOT NULL DEFAULT 0,
  next_at      timestamptz NOT NULL,
  claimed_by   text,
  claimed_at   timestamptz,
  finished_at  timestamptz,
  rows_stored  bigint NOT NULL DEFAULT 0,
  absent_days  date[] NOT NULL DEFAULT '{}',
  error        text,
  requested_at timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX backfill_queue_due ON backfill_queue (next_at) WHERE state IN ('pending', 'rate_limited', 'in_progress');
COMMENT ON TABLE backfill_queue IS
  'from_day: a year before the first purchase. absent_days: asked for, and not to be had (holidays, days before listing).';

CREATE FUNCTION notify_transactions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tapekeeper_transactions', '');
  RETURN NULL;
END $$;
CREATE TRIGGER transactions_notify AFTER INSERT OR UPDATE OR DELETE ON transactions
  FOR EACH STATEMENT EXECUTE FUNCTION notify_transactions();

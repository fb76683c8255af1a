-- What scrapers found: items of feeds, pages and the like, each once, and the markets they are about.

CREATE TABLE signals (
  signal_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  seen_at      timestamptz NOT NULL,
  published_at timestamptz,
  source       text NOT NULL,
  external_id  text,
  url          text,
  title        text NOT NULL,
  summary      text NOT NULL,
  keywords     text[] NOT NULL,
  companies    text[] NOT NULL,
  raw          jsonb NOT NULL
);
CREATE INDEX signals_seen_at ON signals (seen_at);
CREATE INDEX signals_source ON signals (source, signal_id);
-- Cut at ASCII punctuation, as searches are.
CREATE INDEX signals_words ON signals
  USING gin (to_tsvector('simple', regexp_replace(title || ' ' || summary, '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+',
    ' ', 'g')));
COMMENT ON TABLE signals IS
  'url: without what only tracks readers. published_at: as the source says, never later than seen_at. raw: the item as '
  'it came.';

-- Kept when their signal goes: a feed may list for years what was stored once.
CREATE TABLE signal_keys (
  key       uuid PRIMARY KEY,
  kind      "char" NOT NULL CHECK (kind IN ('u', 'i', 'c')),
  signal_id bigint NOT NULL,
  seen_at   timestamptz NOT NULL
) WITH (fillfactor = 90);
COMMENT ON TABLE signal_keys IS
  'What makes two items one: hashes of u(rl), i(d) and c(ontent). Content counts for 30 days from seen_at.';

CREATE TABLE signal_markets (
  signal_id    bigint NOT NULL REFERENCES signals ON DELETE CASCADE,
  condition_id text NOT NULL,
  score        double precision NOT NULL CHECK (score > 0),
  reason       text NOT NULL CHECK (reason <> ''),
  linked_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (signal_id, condition_id)
);
CREATE INDEX signal_markets_market ON signal_markets (condition_id, signal_id);
COMMENT ON TABLE signal_markets IS 'Recorded markets whose question shares names or keywords with a signal, and which.';

CREATE TABLE scrape_sources (
  source        text PRIMARY KEY,
  url           text NOT NULL,
  found_at      text NOT NULL,
  etag          text,
  last_modified text,
  body_hash     uuid NOT NULL,
  updated_at    timestamptz NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE scrape_sources IS
  'The document of each source as it was last read whole. etag and last_modified belong to found_at.';

CREATE TABLE scrape_runs (
  run_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  recorder_id text NOT NULL,
  trigger     text NOT NULL CHECK (trigger IN ('schedule', 'command')),
  state       text NOT NULL CHECK (state IN ('running', 'succeeded', 'failed', 'interrupted')),
  started_at  timestamptz NOT NULL,
  finished_at timestamptz,
  error       text
) WITH (fillfactor = 80);
CREATE INDEX scrape_runs_started_at ON scrape_runs (started_at);
CREATE INDEX scrape_runs_running ON scrape_runs (recorder_id, trigger) WHERE state = 'running';

CREATE TABLE scrape_progress (
  run_id      bigint NOT NULL REFERENCES scrape_runs ON DELETE CASCADE,
  source      text NOT NULL,
  state       text NOT NULL CHECK (state IN ('waiting', 'ok', 'unchanged', 'failed')),
  started_at  timestamptz,
  duration_ms double precision,
  requests    integer NOT NULL DEFAULT 0,
  bytes       bigint NOT NULL DEFAULT 0,
  items       integer NOT NULL DEFAULT 0,
  stored      integer NOT NULL DEFAULT 0,
  repeated    integer NOT NULL DEFAULT 0,
  damaged     integer NOT NULL DEFAULT 0,
  dropped     integer NOT NULL DEFAULT 0,
  error       text,
  PRIMARY KEY (run_id, source)
) WITH (fillfactor = 70);
COMMENT ON TABLE scrape_progress IS
  'Each source of a run. damaged: items too broken to be read. dropped: items beyond a limit. bytes: of bodies, unpacked.';

-- What the program says about itself: its log and the statistics of its collectors.

CREATE TABLE fetcher_logs (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at      timestamptz NOT NULL,
  level   text NOT NULL CHECK (level IN ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
  message text NOT NULL,
  context jsonb NOT NULL DEFAULT '{}',
  words   tsvector GENERATED ALWAYS AS
            (to_tsvector('simple', regexp_replace(message, '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+', ' ', 'g'))) STORED
);
CREATE INDEX fetcher_logs_level ON fetcher_logs (level, id);
CREATE INDEX fetcher_logs_at ON fetcher_logs (at);
CREATE INDEX fetcher_logs_words ON fetcher_logs USING gin (words);
COMMENT ON TABLE fetcher_logs IS
  'Everything that was logged from INFO up; ids rise with time. words: for text search, cut at ASCII punctuation, because '
  'the default parser would take polymarket.prices for one word.';

-- Counting a million rows on every look would take longer than everything else about it.
CREATE TABLE fetcher_log_counts (
  level text PRIMARY KEY,
  total bigint NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE fetcher_log_counts IS 'Rows of fetcher_logs by level, kept exact by its triggers.';

CREATE FUNCTION fetcher_logs_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO fetcher_log_counts AS c (level, total)
  SELECT level, count(*) FROM added GROUP BY level ORDER BY level
  ON CONFLICT (level) DO UPDATE SET total = c.total + EXCLUDED.total;
  RETURN NULL;
END $$;
CREATE FUNCTION fetcher_logs_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE fetcher_log_counts AS c SET total = c.total - r.total
  FROM (SELECT level, count(*) AS total FROM removed GROUP BY level) AS r
  WHERE c.level = r.level;
  RETURN NULL;
END $$;
CREATE FUNCTION fetcher_logs_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM fetcher_log_counts;
  RETURN NULL;
END $$;
CREATE TRIGGER fetcher_logs_added AFTER INSERT ON fetcher_logs
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION fetcher_logs_added();
CREATE TRIGGER fetcher_logs_removed AFTER DELETE ON fetcher_logs
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION fetcher_logs_removed();
CREATE TRIGGER fetcher_logs_emptied AFTER TRUNCATE ON fetcher_logs
  FOR EACH STATEMENT EXECUTE FUNCTION fetcher_logs_emptied();

CREATE TABLE fetcher_statistics (
  id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at                  timestamptz NOT NULL,
  started_at          timestamptz NOT NULL,
  recorder_id         text NOT NULL,
  collector           text NOT NULL,
  uptime_seconds      double precision NOT NULL,
  total_cycles        bigint NOT NULL,
  successful_cycles   bigint NOT NULL,
  failed_cycles       bigint NOT NULL,
  success_rate        numeric,
  average_duration_ms double precision,
  p50_duration_ms     double precision,
  p95_duration_ms     double precision,
  last_duration_ms    double precision,
  CHECK (total_cycles = successful_cycles + failed_cycles)
);
CREATE INDEX fetcher_statistics_collector ON fetcher_statistics (collector, at);
CREATE INDEX fetcher_statistics_at ON fetcher_statistics (at);
COMMENT ON TABLE fetcher_statistics IS
  'Since started_at, as of at: one row per collector every 5 minutes and at the end. Durations over the last 100 cycles.';

-- A list of markets shows spreads; looking each up among the days of order books would be slow.
ALTER TABLE last_books ADD COLUMN spread double precision, ADD COLUMN midpoint double precision;

-- Keyset pages by volume, and search by words.
CREATE INDEX markets_by_volume ON markets (coalesce(volume_24h, -1), condition_id);
CREATE INDEX markets_words ON markets
  USING gin (to_tsvector('simple', regexp_replace(question || ' ' || slug, '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+',
                                                  ' ', 'g')));

-- What the recorder followed, and every interval in which something may be missing from it.

CREATE TABLE coverage_spans (
  recorder_id        text NOT NULL,
  stream             text NOT NULL,
  token_key          integer NOT NULL,
  started_at         timestamptz NOT NULL,
  ended_at           timestamptz,
  connection         text NOT NULL,
  verified_at        timestamptz,
  known_at           timestamptz,
  known_hash         text,
  hash_mismatches    integer NOT NULL DEFAULT 0,
  best_disagreements integer NOT NULL DEFAULT 0,
  missing_trades     integer NOT NULL DEFAULT 0,
  PRIMARY KEY (stream, token_key, recorder_id, started_at)
) WITH (fillfactor = 70);
CREATE INDEX coverage_spans_open ON coverage_spans (recorder_id, stream) WHERE ended_at IS NULL;
COMMENT ON TABLE coverage_spans IS
  'When a token was to be recorded: from its subscription until it was dropped; down time does not end it. '
  'connection: whose book counts. verified_at: last proof that its silence was right. known_hash: its book at known_at.';

CREATE TABLE coverage_gaps (
  gap_id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  recorder_id       text NOT NULL,
  stream            text NOT NULL,
  gap_no            integer,
  started_at        timestamptz NOT NULL,
  ended_at          timestamptz,
  cause             text NOT NULL CHECK (cause IN ('down', 'disconnect', 'stall', 'hash_mismatch', 'missing_trade',
                                                   'tape_failure', 'parse_failure', 'subscribe_refused')),
  tokens            integer[] NOT NULL,
  quiet_tokens      integer[] NOT NULL DEFAULT '{}',
  evidence          jsonb NOT NULL DEFAULT '{}',
  recovered_trades  integer NOT NULL DEFAULT 0,
  backfill_complete boolean,
  backfill_attempts integer NOT NULL DEFAULT 0,
  backfill_next_at  timestamptz,
  backfilled_at     timestamptz,
  backfill_error    text,
  CHECK (ended_at >= started_at),
  UNIQUE (recorder_id, stream, gap_no)
) WITH (fillfactor = 70);
CREATE INDEX coverage_gaps_started_at ON coverage_gaps (started_at);
CREATE INDEX coverage_gaps_open ON coverage_gaps (recorder_id, stream) WHERE ended_at IS NULL;
CREATE INDEX coverage_gaps_to_fill ON coverage_gaps (ended_at) WHERE backfill_complete IS NULL;
COMMENT ON TABLE coverage_gaps IS
  'One row per incident. gap_no: counted by the recorder that saw it happen, null for what was found later. '
  'quiet_tokens: those of tokens that were proven to have missed nothing (the fresh book is the last one known, same '
  'hash and time). backfill_complete: null until tried, false where the API did not reach.';

CREATE VIEW v_gaps AS
SELECT g.gap_id,
       g.stream,
       t.token_id,
       g.started_at,
       g.ended_at,
       g.cause,
       g.evidence,
       g.recovered_trades,
       g.backfill_complete,
       k.proven_quiet
FROM coverage_gaps g
CROSS JOIN LATERAL (
  SELECT u.token_key, bool_or(u.quiet) AS proven_quiet
  FROM (SELECT unnest(g.tokens) AS token_key, false AS quiet
        UNION ALL SELECT unnest(g.quiet_tokens), true) AS u
  GROUP BY u.token_key) AS k
JOIN tokens t USING (token_key);
COMMENT ON VIEW v_gaps IS 'One row per token of coverage_gaps.';

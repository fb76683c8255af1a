-- Trades that are fetched after the stream missed them.

ALTER TABLE coverage_gaps ADD COLUMN backfill_reached jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN coverage_gaps.backfill_reached IS
  'What the last attempt to fill it reached: markets asked, past_end (the API shows a later trade), quiet (it shows '
  'none), unreached (its pages end after the start of the gap), partly (transactions told as sums only).';

CREATE TABLE reconciled_hours (
  stream           text NOT NULL,
  hour             timestamptz NOT NULL,
  complete         boolean,
  attempts         integer NOT NULL,
  next_at          timestamptz,
  reconciled_at    timestamptz NOT NULL,
  markets          integer NOT NULL,
  recovered_trades integer NOT NULL,
  error            text,
  reached          jsonb NOT NULL,
  PRIMARY KEY (stream, hour)
) WITH (fillfactor = 70);
CREATE INDEX reconciled_hours_waiting ON reconciled_hours (stream) WHERE complete IS NULL;
COMMENT ON TABLE reconciled_hours IS
  'Closed UTC hours whose trades were compared with the venue''s history. complete: null until settled, false where '
  'that history did not tell everything. recovered_trades: all of the hour that were fetched later.';

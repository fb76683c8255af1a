-- What was recorded of one token, whatever the stream.
CREATE INDEX coverage_spans_token ON coverage_spans (token_key, started_at);

CREATE TABLE heartbeats (
    origin   text        NOT NULL DEFAULT '' CHECK (origin = ''),
    agent_id uuid        PRIMARY KEY,
    status   text        NOT NULL CHECK (status IN ('ok', 'degraded')),
    message  text        NOT NULL DEFAULT '',
    seen_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (origin, agent_id) REFERENCES agents (origin, id) ON DELETE CASCADE
) WITH (fillfactor = 70);
COMMENT ON TABLE heartbeats IS 'Apart from agents: a beat rewrites a short row in its own page and is no change of the agent.';

CREATE INDEX agents_foreign_names ON agents (namespace, name) WHERE origin <> '' AND deleted_at IS NULL;

CREATE TABLE refusals (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    peer     text        NOT NULL,
    origin   text        NOT NULL,
    record   text        NOT NULL,
    reason   text        NOT NULL,
    times    bigint      NOT NULL DEFAULT 1,
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (peer, origin, record, reason)
);
COMMENT ON TABLE refusals IS 'Records of peers that were not taken, the last ones of each peer.';

CREATE TABLE agents (
    origin      text        NOT NULL DEFAULT '',
    id          uuid        NOT NULL,
    namespace   text        NOT NULL DEFAULT 'default',
    name        text        NOT NULL,
    type        text        NOT NULL,
    vendor      text        NOT NULL,
    model       text        NOT NULL,
    description text        NOT NULL DEFAULT '',
    tags        text[]      NOT NULL DEFAULT '{}',
    endpoint    text,
    run_id      text,
    version     bigint      NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    deleted_at  timestamptz,
    PRIMARY KEY (origin, id)
);
COMMENT ON TABLE agents IS 'Agents of this mesh (origin is empty) and of its peers (origin is the name of the peer).';
COMMENT ON COLUMN agents.deleted_at IS 'A tombstone: peers must learn of a removal.';

CREATE UNIQUE INDEX agents_name ON agents (namespace, name) WHERE origin = '' AND deleted_at IS NULL;
CREATE INDEX agents_changes ON agents (updated_at, id) WHERE origin = '';
CREATE INDEX agents_harness ON agents (run_id) WHERE namespace = 'aimesh-verify';

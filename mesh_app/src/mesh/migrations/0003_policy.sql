CREATE TABLE decisions (
    id             uuid        PRIMARY KEY,
    namespace      text        NOT NULL DEFAULT 'default',
    decision       text        NOT NULL CHECK (decision IN ('allow', 'deny', 'redact')),
    policy_version text        NOT NULL,
    reasons        jsonb       NOT NULL,
    prompt_sha256  text        NOT NULL,
    prompt_chars   integer     NOT NULL,
    user_id        text,
    agent_id       text,
    caller         text        NOT NULL,
    request_id     text        NOT NULL,
    run_id         text,
    decided_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN decisions.prompt_sha256 IS 'The prompt itself is never stored.';
CREATE INDEX decisions_by_outcome ON decisions (namespace, decision, id);
CREATE INDEX decisions_harness ON decisions (run_id) WHERE namespace = 'aimesh-verify';

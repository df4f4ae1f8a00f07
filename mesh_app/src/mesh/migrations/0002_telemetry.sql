CREATE TABLE samples (
    id          bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace   text             NOT NULL DEFAULT 'default',
    agent_id    text             NOT NULL,
    metric_type text             NOT NULL,
    value       double precision NOT NULL,
    run_id      text,
    recorded_at timestamptz      NOT NULL,
    received_at timestamptz      NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX samples_series ON samples (namespace, agent_id, metric_type, recorded_at);
CREATE INDEX samples_recent ON samples (recorded_at);
CREATE INDEX samples_harness ON samples (run_id) WHERE namespace = 'aimesh-verify';

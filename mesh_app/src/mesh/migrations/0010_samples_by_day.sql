-- The table so far becomes the partition of everything before the bound; days after it get partitions of their own.
-- A long reader, such as a dump, must not make writers queue behind this lock: try for a second, step back, try again.
SET LOCAL lock_timeout = '1s';
DO $$
BEGIN
    FOR attempt IN 1..60 LOOP
        BEGIN
            LOCK TABLE samples IN ACCESS EXCLUSIVE MODE;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(1);
        END;
    END LOOP;
    RAISE EXCEPTION 'something has read the table samples for two minutes (a dump?); run this again when it has ended';
END
$$;

CREATE SEQUENCE samples_number AS bigint;
SELECT setval('samples_number', last_value, is_called) FROM samples_id_seq;
ALTER TABLE samples ALTER COLUMN id DROP IDENTITY;
ALTER TABLE samples ALTER COLUMN id SET DEFAULT nextval('samples_number');
ALTER INDEX samples_pkey RENAME TO samples_before_pkey;
ALTER INDEX samples_series RENAME TO samples_before_series;
ALTER INDEX samples_recent RENAME TO samples_before_recent;
ALTER INDEX samples_harness RENAME TO samples_before_harness;
ALTER TABLE samples RENAME TO samples_before;

CREATE TABLE samples (LIKE samples_before INCLUDING DEFAULTS) PARTITION BY RANGE (recorded_at);
ALTER SEQUENCE samples_number OWNED BY samples.id;
CREATE INDEX samples_series ON samples (namespace, agent_id, metric_type, recorded_at);
CREATE INDEX samples_recent ON samples (recorded_at);
CREATE INDEX samples_harness ON samples (run_id) WHERE namespace = 'aimesh-verify';
COMMENT ON COLUMN samples.id IS 'Unique by its sequence; each partition has a primary key of its own.';

DO $$
DECLARE
    bound timestamptz := substring(pg_get_constraintdef(oid) FROM '''([^'']+)''')
        FROM pg_constraint WHERE conname = 'samples_until' AND conrelid = 'samples_before'::regclass;
    name text := 'samples_until_' || to_char(bound AT TIME ZONE 'UTC', 'YYYYMMDD');
BEGIN
    EXECUTE format('ALTER TABLE samples ATTACH PARTITION samples_before FOR VALUES FROM (MINVALUE) TO (%L)', bound);
    EXECUTE format('ALTER TABLE samples_before RENAME TO %I', name);
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT samples_until', name);
END
$$;
CREATE TABLE samples_default PARTITION OF samples (PRIMARY KEY (id)) DEFAULT;

CREATE TABLE sample_rollups (
    hour        timestamptz      NOT NULL,
    namespace   text             NOT NULL,
    agent_id    text             NOT NULL,
    metric_type text             NOT NULL,
    count       bigint           NOT NULL,
    sum         double precision NOT NULL,
    min         double precision NOT NULL,
    max         double precision NOT NULL,
    p50         double precision NOT NULL,
    p95         double precision NOT NULL,
    p99         double precision NOT NULL,
    rolled_at   timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (hour, namespace, agent_id, metric_type)
);
CREATE INDEX sample_rollups_series ON sample_rollups (namespace, agent_id, metric_type, hour);
CREATE TABLE sample_late_hours (hour timestamptz NOT NULL);
COMMENT ON TABLE sample_late_hours IS 'Hours that got samples after they may have been rolled up; written with the samples.';
CREATE INDEX sample_late_hours_hour ON sample_late_hours (hour);

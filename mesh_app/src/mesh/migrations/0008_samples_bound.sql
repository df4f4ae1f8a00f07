-- Samples become a table partitioned by day in three short migrations; none blocks ingest for long.
-- Every sample so far is older than a bound a week ahead; what is stored is checked in the next step.
-- A long reader, such as a dump, must not make writers queue behind this lock: try for a second, step back, try again.
SET LOCAL lock_timeout = '1s';
DO $$
BEGIN
    FOR attempt IN 1..60 LOOP
        BEGIN
            LOCK TABLE samples IN ACCESS EXCLUSIVE MODE;
            EXECUTE format(
                'ALTER TABLE samples ADD CONSTRAINT samples_until CHECK (recorded_at < %L) NOT VALID',
                to_char((now() AT TIME ZONE 'UTC')::date + 8, 'YYYY-MM-DD') || ' 00:00:00+00'
            );
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(1);
        END;
    END LOOP;
    RAISE EXCEPTION 'something has read the table samples for two minutes (a dump?); run this again when it has ended';
END
$$;

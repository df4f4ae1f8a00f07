CREATE TABLE policy_versions (
    version   text        PRIMARY KEY,
    rules     jsonb       NOT NULL,
    instance  text        NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE policy_versions IS 'Each content of the rules that decisions were made by, and who loaded it first.';

CREATE TABLE api_keys (
    id           uuid        PRIMARY KEY,
    subject      text        NOT NULL,
    role         text        NOT NULL CHECK (role IN ('admin', 'operator', 'reader')),
    digest       bytea       NOT NULL CHECK (octet_length(digest) = 32),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text        NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
COMMENT ON COLUMN api_keys.digest IS 'SHA-256 of 32 random bytes in hexadecimal; the key itself is nowhere.';
COMMENT ON COLUMN api_keys.last_used_at IS 'Written once a minute at most.';

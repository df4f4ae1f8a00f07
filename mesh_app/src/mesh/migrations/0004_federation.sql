CREATE TABLE peers (
    name       text        PRIMARY KEY,
    url        text        NOT NULL,
    cursor     text        NOT NULL DEFAULT '',
    failures   integer     NOT NULL DEFAULT 0,
    received   bigint      NOT NULL DEFAULT 0,
    refused    bigint      NOT NULL DEFAULT 0,
    last_ok_at timestamptz,
    last_error text,
    tried_at   timestamptz
);

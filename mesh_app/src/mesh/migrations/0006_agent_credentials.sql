CREATE TABLE agent_credentials (
    origin     text        NOT NULL DEFAULT '' CHECK (origin = ''),
    agent_id   uuid        PRIMARY KEY,
    scheme     text        NOT NULL,
    header     text,
    secret     text        NOT NULL,
    key_id     text        NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_by text        NOT NULL DEFAULT '',
    FOREIGN KEY (origin, agent_id) REFERENCES agents ON DELETE CASCADE
);
COMMENT ON TABLE agent_credentials IS 'What an agent is called with; secret is encrypted, key_id names its key.';
CREATE INDEX agent_credentials_key ON agent_credentials (key_id, agent_id);

CREATE FUNCTION forget_agent_credential() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM agent_credentials WHERE agent_id = NEW.id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION forget_agent_credential() IS
    'A tombstone keeps no credential, whichever release writes it.';
CREATE TRIGGER agents_forget_credential AFTER UPDATE OF deleted_at ON agents
    FOR EACH ROW WHEN (NEW.origin = '' AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION forget_agent_credential();

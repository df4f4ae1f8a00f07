"""Negative controls of the checks of PostgreSQL and Redis."""

from __future__ import annotations

from control_kit import Control, answer_of, dropped, every, hba, into
from healthy import Unable

CONTROLS = [
    Control(
        "postgresql.version.planned", "older", answer_of("postgresql", into("version", 0, "number", value=150004)), "15"
    ),
    Control(
        "postgresql.version.planned",
        "too old",
        answer_of("postgresql", into("version", 0, "number", value=130004)),
        "PostgreSQL 13",
    ),
    Control(
        "postgresql.settings.planned",
        "other size",
        answer_of("postgresql", every("settings", lambda r: r["name"] == "shared_buffers", setting="16384")),
        "shared_buffers",
    ),
    Control(
        "postgresql.settings.planned",
        "waits for a restart",
        answer_of("postgresql", every("settings", lambda r: r["name"] == "wal_level", pending_restart=True)),
        "waits for a restart",
    ),
    Control(
        "postgresql.settings.planned",
        "server down",
        answer_of("postgresql", lambda _: Unable("psql ended with 2")),
        "psql ended",
    ),
    Control(
        "postgresql.checksums.on",
        "off",
        answer_of("postgresql", every("settings", lambda r: r["name"] == "data_checksums", setting="off")),
        "off",
    ),
    Control("postgresql.access.scram_only", "trust", hba(auth_method="trust"), "trust"),
    Control("postgresql.access.scram_only", "md5", hba(auth_method="md5"), "md5"),
    Control("postgresql.access.scram_only", "the world", hba(address="0.0.0.0/0"), "0.0.0.0/0"),
    Control("postgresql.access.scram_only", "all", hba(address="all"), "all"),
    Control("postgresql.access.scram_only", "broken line", hba(error="invalid"), "invalid"),
    Control(
        "postgresql.access.scram_only",
        "socket",
        answer_of("postgresql", every("hba", lambda r: r["type"] == "local", auth_method="trust")),
        "socket",
    ),
    Control(
        "postgresql.logins.planned",
        "superuser",
        answer_of("postgresql", every("roles", lambda r: r["rolname"] == "mesh", rolsuper=True)),
        "superuser",
    ),
    Control(
        "postgresql.logins.planned",
        "md5 password",
        answer_of("postgresql", every("roles", lambda r: r["rolname"] == "mesh_app_a", scram=False)),
        "not SCRAM",
    ),
    Control("postgresql.logins.planned", "missing", answer_of("postgresql", dropped("roles")), "no role"),
    Control(
        "postgresql.logins.planned",
        "no member",
        answer_of("postgresql", lambda a: a["memberships"].clear()),
        "no member",
    ),
    Control(
        "postgresql.database.planned",
        "missing",
        answer_of("postgresql", lambda a: a["databases"].clear()),
        "databases are",
    ),
    Control(
        "postgresql.database.planned",
        "owner",
        answer_of("postgresql", into("databases", 0, "owner", value="postgres")),
        "postgres",
    ),
    Control(
        "redis.version.planned",
        "too old",
        answer_of("redis", into("server", value={"reply": "redis_version:6.0.1"}), "INFO"),
        "6.0.1",
    ),
    Control(
        "redis.version.planned",
        "other",
        answer_of("redis", into("server", value={"reply": "redis_version:7.2.1"}), "INFO"),
        "[7, 2]",
    ),
    Control(
        "redis.version.planned", "down", answer_of("redis", lambda _: Unable("connection refused"), "INFO"), "refused"
    ),
    Control(
        "redis.access.password_only", "open", answer_of("redis", into("ping", value={"reply": "PONG"}), "PING"), "PONG"
    ),
    Control(
        "redis.access.own_keys_only",
        "scripts",
        answer_of("redis", into("EVAL", value={"reply": 1}), "EVAL"),
        "EVAL",
    ),
    Control(
        "redis.access.own_keys_only",
        "foreign keys",
        answer_of("redis", into("GET of a foreign key", value={"reply": None}), "EVAL"),
        "foreign key",
    ),
    Control(
        "redis.access.own_keys_only",
        "other error",
        answer_of("redis", into("KEYS", value={"error": "LOADING Redis is loading the dataset"}), "EVAL"),
        "KEYS",
    ),
    Control(
        "redis.memory.planned",
        "no limit",
        answer_of("redis", into("memory", value={"reply": "maxmemory:0\r\nmaxmemory_policy:noeviction"}), "INFO"),
        "0",
    ),
    Control(
        "redis.memory.planned",
        "evicts",
        answer_of(
            "redis", into("memory", value={"reply": "maxmemory:536870912\r\nmaxmemory_policy:allkeys-lru"}), "INFO"
        ),
        "allkeys-lru",
    ),
    Control(
        "redis.memory.planned",
        "forgets",
        answer_of("redis", into("persistence", value={"reply": "aof_enabled:0"}), "INFO"),
        "aof_enabled",
    ),
]

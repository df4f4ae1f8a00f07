"""What can be judged from the environment and its files alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from mesh.access.loopback import is_loopback
from mesh.access.tokens import load_tokens
from mesh.core.secrets import ConfigError, read_secret
from mesh.doctor.finding import OK, WARN, Check, Finding, check

SECRETS = (
    "MESH_DATABASE_PASSWORD_FILE",
    "MESH_MIGRATION_DATABASE_PASSWORD_FILE",
    "MESH_REDIS_PASSWORD_FILE",
    "MESH_SERVICE_TOKEN_FILE",
    "MESH_SESSION_KEY_FILE",
    "MESH_FEDERATION_KEY_FILE",
    "MESH_ALERT_TOKEN_FILE",
)
RINGS = ("MESH_JWT_KEY_FILES", "MESH_ENCRYPTION_KEY_FILES")
_OTHERS = 0o007


def checks(env: Mapping[str, str]) -> list[Check]:
    given = [(variable, [env[variable]]) for variable in SECRETS if env.get(variable)]
    given += [(variable, env[variable].split(":")) for variable in RINGS if env.get(variable)]
    return [
        check("auth", lambda: _auth(env)),
        *(Check(variable, partial(_secrets, variable, paths)) for variable, paths in given),
        check("policy rules", lambda: _policy(env)),
    ]


def _auth(env: Mapping[str, str]) -> str:
    if env.get("MESH_AUTH") == "off":
        bind = env.get("MESH_BIND", "127.0.0.1")
        if not is_loopback(bind):
            raise ConfigError(f"MESH_AUTH=off is refused with MESH_BIND={bind}; set MESH_AUTH=on.")
        return f"off, bound to {bind}"
    entries = load_tokens(env.get("MESH_TOKENS_FILE"))
    if env.get("MESH_SERVICE_TOKEN_FILE"):
        token = read_secret("MESH_SERVICE_TOKEN_FILE", env["MESH_SERVICE_TOKEN_FILE"])
        digest = hashlib.sha256(token.encode()).hexdigest()
        if not any(entry.sha256 == digest and entry.role == "service" for entry in entries):
            raise ConfigError(
                "the token in MESH_SERVICE_TOKEN_FILE is not a service of MESH_TOKENS_FILE; deploy both together."
            )
    return f"on, {len(entries)} callers"


async def _secrets(variable: str, paths: list[str]) -> list[Finding]:
    paths = [path for path in paths if path]
    secrets = {read_secret(variable, path) for path in paths}
    if len(secrets) < len(paths):
        raise ConfigError(f"{variable} names one secret twice; a ring holds the current one and those before it.")
    exposed = [path for path in paths if Path(path).stat().st_mode & _OTHERS]
    if exposed:
        text = f"every user of this machine may read or write {', '.join(exposed)}; run chmod o-rwx on it."
        return [Finding(WARN, variable, text)]
    text = (
        "readable for this user, long enough" if len(paths) == 1 else f"{len(paths)} secrets, the first one is in use"
    )
    return [Finding(OK, variable, text)]


def _policy(env: Mapping[str, str]) -> str:
    path = env.get("MESH_POLICY_FILE")
    if not path:
        return "not configured here"
    from mesh.policy.rules import load_rules

    return f"version {load_rules(Path(path)).version}"

"""The environment of the mesh app's processes, the same on every platform that runs them on hosts.

Pure functions of the plan. Secrets appear as paths of files only; where those files are is the platform's affair.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    Plan,
    endpoint_url,
    postgresql_address,
    redis_address,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import previous

TOKENS = "tokens.json"
TOKEN_SUBJECTS = ("service", "verify", "admin")
"""Subjects of bearer tokens; the token of subject S is the secret `S_token`, and its role is S too."""

URL_VARIABLES = {
    "api-gateway": "MESH_URL_GATEWAY",
    "registry": "MESH_URL_REGISTRY",
    "telemetry": "MESH_URL_TELEMETRY",
    "policy": "MESH_URL_POLICY",
    "federation": "MESH_URL_FEDERATION",
    "ui": "MESH_URL_UI",
}

OIDC_VARIABLES = {
    "issuer": "MESH_OIDC_ISSUER",
    "audience": "MESH_OIDC_AUDIENCE",
    "role_claim": "MESH_OIDC_ROLE_CLAIM",
}

# Each service gets the keys that it works with and no others.
CALLER = {"MESH_SERVICE_TOKEN_FILE": "service_token"}
"""Whoever has it may act for anybody, so only the services that call others get it."""
KEYS = {
    "api-gateway": CALLER,
    "registry": {"MESH_ENCRYPTION_KEY_FILES": "encryption_key"},
    "federation": {"MESH_FEDERATION_KEY_FILE": "federation_key"},
    "ui": {"MESH_SESSION_KEY_FILE": "session_key", **CALLER},
}
ALERTS = {"MESH_ALERT_TOKEN_FILE": "alert_token"}
"""What the UI of a mesh that is monitored has besides: it shows the alerts that fire."""

Credentials = dict[str, tuple[str, ...]]
"""Environment variable → the credentials (secrets of the plan, or TOKENS) whose files it names, in order."""


@dataclass(frozen=True)
class Locations:
    """Where a platform puts what the processes read. `credential` maps a credential's name to its path."""

    credential: Callable[[str], str]
    policy: str
    peers: str
    mcp_servers: str


def login_secret(login: str) -> str:
    """Name of the secret with a database login's password: `mesh_app_a` → `db_app_a_password`."""
    return f"db_{login.removeprefix('mesh_')}_password"


def service_credentials(plan: Plan, service: str) -> Credentials:
    """What one service reads."""
    return _credentials(plan, _keys(plan, service))


def operator_credentials(plan: Plan) -> Credentials:
    """What `mesh doctor` and `mesh admin` read: all that any service does."""
    return _credentials(plan, {variable: name for service in KEYS for variable, name in _keys(plan, service).items()})


def credential_names(credentials: Credentials) -> list[str]:
    """Each credential once, in order."""
    return list(dict.fromkeys(name for names in credentials.values() for name in names))


def service_environment(plan: Plan, instance: dict[str, Any], where: Locations) -> dict[str, str]:
    """All variables of one instance, as docs/architecture.md names them."""
    service = plan["services"][instance["service"]]
    own = {
        "MESH_INSTANCE": instance["id"],
        "MESH_BIND": instance["bind"],
        "MESH_PORT": str(instance["port"]),
        "MESH_DB_POOL_MIN": str(service["db_pool"]["min"]),
        "MESH_DB_POOL_MAX": str(service["db_pool"]["max"]),
        "MESH_DRAIN_SECONDS": str(service["drain_s"]),
        "MESH_LOG_LEVEL": "info",
    }
    return own | _shared(plan, instance["host"], where, service_credentials(plan, instance["service"]))


def operator_environment(plan: Plan, host: str, where: Locations) -> dict[str, str]:
    """Variables of `mesh doctor` and `mesh admin` on one host of the mesh."""
    return _shared(plan, host, where, operator_credentials(plan))


def migration_environment(plan: Plan, host: str, credential: Callable[[str], str]) -> dict[str, str]:
    """Variables of `mesh migrate`, which logs in as the owner of the database."""
    return {
        "MESH_NAME": plan["mesh"]["name"],
        "MESH_RELEASE": plan["release"]["id"],
        "MESH_MIGRATION_DATABASE_URL": _database_url(plan, plan["postgresql"]["owner"], host),
        "MESH_MIGRATION_DATABASE_PASSWORD_FILE": credential("db_owner_password"),
        "MESH_LOG_LEVEL": "info",
    }


def redis_rights(plan: Plan) -> str:
    """What the mesh's Redis user may do: data commands on the mesh's own keys; no administration, no scripts."""
    return f"resetchannels ~mesh:{plan['mesh']['name']}:* +@all -@admin -@dangerous -@scripting +info"


def _keys(plan: Plan, service: str) -> dict[str, str]:
    shows_alerts = service == "ui" and plan.get("monitoring") is not None
    return {**KEYS.get(service, {}), **(ALERTS if shows_alerts else {})}


def _alerts_url(plan: Plan, host: str) -> str:
    """Where `host` reaches the alert receiver: on the receiver's own host where it listens, from others its address."""
    part = next(part for part in plan["monitoring"]["parts"] if part["part"] == "alert-receiver")
    return f"http://{part['bind']}:{part['port']}" if part["host"] == host else f"http://{part['address']}"


def _credentials(plan: Plan, keys: dict[str, str]) -> Credentials:
    named = {
        "MESH_DATABASE_PASSWORD_FILE": login_secret(plan["postgresql"]["active_login"]),
        "MESH_REDIS_PASSWORD_FILE": "redis_password",
        "MESH_TOKENS_FILE": TOKENS,
        "MESH_JWT_KEY_FILES": "jwt_key",
        **keys,
    }
    # Only key rings have an entry for the version before the newest.
    return {
        variable: (name, previous(name)) if previous(name) in plan["secrets"] else (name,)
        for variable, name in named.items()
    }


def _shared(plan: Plan, host: str, where: Locations, credentials: Credentials) -> dict[str, str]:
    """What all processes of the mesh on a host are told alike, and the paths of their credentials."""
    redis, access = plan["redis"], plan["access"]
    environment = {
        "MESH_NAME": plan["mesh"]["name"],
        "MESH_RELEASE": plan["release"]["id"],
        "MESH_AUTH": plan["mesh"]["auth"],
        "MESH_DATABASE_URL": _database_url(plan, plan["postgresql"]["active_login"], host),
        "MESH_REDIS_URL": f"redis://{redis['user']}@{redis_address(plan, host)}:{redis['port']}/0",
        "MESH_RATE_LIMIT_PER_MINUTE": str(access["requests_per_minute"]),
        "MESH_AGENT_STALE_SECONDS": str(plan["thresholds"]["agent_stale_s"]),
        "MESH_SAMPLE_RETENTION_DAYS": str(plan["telemetry"]["retention_days"]),
        "MESH_PUBLIC_URL": f"http://{plan['mesh']['domain']}:{plan['services']['api-gateway']['port']}",
        "MESH_POLICY_FILE": where.policy,
        "MESH_PEERS_FILE": where.peers,
        "MESH_MCP_REGISTRY_FILE": where.mcp_servers,
    }
    if access["oidc"]:
        environment |= {OIDC_VARIABLES[key]: value for key, value in access["oidc"].items()}
    if ALERTS.keys() <= credentials.keys():
        environment["MESH_ALERTS_URL"] = _alerts_url(plan, host)
    environment |= {variable: endpoint_url(plan, name, host) for name, variable in URL_VARIABLES.items()}
    return environment | {
        variable: ":".join(where.credential(name) for name in names) for variable, names in credentials.items()
    }


def command_script(program: str, environment: Mapping[str, str]) -> str:
    """A shell script that runs `program` in `environment`, for operators on the host. It holds paths, no secrets."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(environment.items()))
    return (
        "#!/bin/sh\n"
        "# The mesh's own command with the settings of its services: aimesh doctor, aimesh admin --help.\n"
        f'{exports}exec {shlex.quote(program)} "$@"\n'
    )


def _database_url(plan: Plan, login: str, host: str) -> str:
    database = plan["postgresql"]
    return f"postgresql://{login}@{postgresql_address(plan, host)}:{database['port']}/{database['database']}"

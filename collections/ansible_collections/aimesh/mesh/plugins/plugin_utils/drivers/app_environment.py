"""The environment of the mesh app's processes, the same on every platform that runs them on hosts.

Pure functions of the plan. Secrets appear as paths of files only; where those files are is the platform's affair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    Plan,
    endpoint_url,
    postgresql_address,
    redis_address,
)

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

# Each service gets the keys that it works with and no others.
CALLER = {"MESH_SERVICE_TOKEN_FILE": "service_token"}
"""Whoever has it may act for anybody, so only the services that call others get it."""
KEYS = {
    "api-gateway": CALLER,
    "federation": {"MESH_FEDERATION_KEY_FILE": "federation_key"},
    "ui": {"MESH_SESSION_KEY_FILE": "session_key", **CALLER},
}


@dataclass(frozen=True)
class Locations:
    """Where a platform puts what the processes read. `credential` maps a credential's name to its path."""

    credential: Callable[[str], str]
    policy: str
    peers: str


def login_secret(login: str) -> str:
    """Name of the secret with a database login's password: `mesh_app_a` → `db_app_a_password`."""
    return f"db_{login.removeprefix('mesh_')}_password"


def service_credentials(plan: Plan, service: str) -> dict[str, str]:
    """Environment variable → credential (a secret's name, or TOKENS) for one service."""
    return {
        "MESH_DATABASE_PASSWORD_FILE": login_secret(plan["postgresql"]["active_login"]),
        "MESH_REDIS_PASSWORD_FILE": "redis_password",
        "MESH_TOKENS_FILE": TOKENS,
        **KEYS.get(service, {}),
    }


def service_environment(plan: Plan, instance: dict[str, Any], where: Locations) -> dict[str, str]:
    """All variables of one instance, as docs/architecture.md names them."""
    host, service = instance["host"], plan["services"][instance["service"]]
    database, redis = plan["postgresql"], plan["redis"]
    environment = {
        "MESH_NAME": plan["mesh"]["name"],
        "MESH_RELEASE": plan["release"]["id"],
        "MESH_INSTANCE": instance["id"],
        "MESH_BIND": instance["bind"],
        "MESH_PORT": str(instance["port"]),
        "MESH_AUTH": plan["mesh"]["auth"],
        "MESH_DATABASE_URL": _database_url(plan, database["active_login"], host),
        "MESH_DB_POOL_MIN": str(service["db_pool"]["min"]),
        "MESH_DB_POOL_MAX": str(service["db_pool"]["max"]),
        "MESH_REDIS_URL": f"redis://{redis['user']}@{redis_address(plan, host)}:{redis['port']}/0",
        "MESH_POLICY_FILE": where.policy,
        "MESH_PEERS_FILE": where.peers,
        "MESH_DRAIN_SECONDS": str(service["drain_s"]),
        "MESH_LOG_LEVEL": "info",
    }
    environment |= {variable: endpoint_url(plan, name, host) for name, variable in URL_VARIABLES.items()}
    return environment | {
        variable: where.credential(name) for variable, name in service_credentials(plan, instance["service"]).items()
    }


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


def _database_url(plan: Plan, login: str, host: str) -> str:
    database = plan["postgresql"]
    return f"postgresql://{login}@{postgresql_address(plan, host)}:{database['port']}/{database['database']}"

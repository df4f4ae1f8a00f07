"""Secrets that a release needs in its namespace: their keys, and from which secrets of the plan each is made.

They go through the API on their own, so that none is in Helm's values or history. Pure; never sees a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import (
    TOKENS,
    credential_names,
    login_secret,
    operator_credentials,
    redis_rights,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_files import credential_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import (
    CREDENTIALS,
    REDIS_USERS,
    USERS_FILE,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import BUNDLED, CLOUDNATIVEPG

OPAQUE, BASIC_AUTH = "Opaque", "kubernetes.io/basic-auth"
OWNER_PASSWORD = "db_owner_password"  # noqa: S105 - the name of a secret
USERS = """\
user default off resetpass resetkeys resetchannels -@all
user {{ vars.user }} on #{{ secrets.redis_password | sha256 }} {{ vars.rights }}
"""
"""Redis knows its users by the hashes of their passwords."""


@dataclass(frozen=True)
class SecretEntry:
    """One key. `inline` is a template as that of a `host_state.File`: it sees `vars` and the named `secrets`."""

    key: str
    inline: str
    vars: dict[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class SecretObject:
    """An object of kind Secret in the mesh's namespace."""

    name: str
    entries: tuple[SecretEntry, ...]
    type: str = OPAQUE

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(entry.key for entry in self.entries)


def chart_secrets(plan: Plan) -> tuple[SecretObject, ...]:
    """Every Secret that has to be there before the release's pods can start."""
    logins = [login_secret(login) for login in plan["postgresql"]["logins"]]
    names = dict.fromkeys([OWNER_PASSWORD, *logins, *credential_names(operator_credentials(plan))])
    found = [SecretObject(CREDENTIALS, tuple(_credential(plan, name) for name in names))]
    if plan["kubernetes"]["cache"]["kind"] == BUNDLED:
        found.append(SecretObject(REDIS_USERS, (_users(plan),)))
    if plan["kubernetes"]["database"]["kind"] == CLOUDNATIVEPG:
        database = plan["postgresql"]
        accounts = {database["owner"]: OWNER_PASSWORD, **{name: login_secret(name) for name in database["logins"]}}
        found += [_account(login, secret) for login, secret in accounts.items()]
    return tuple(found)


def account_secret(login: str) -> str:
    """Name of the Secret with a login of CloudNativePG: `mesh_app_a` → `postgresql-mesh-app-a`."""
    return f"postgresql-{login.replace('_', '-')}"


def _credential(plan: Plan, name: str) -> SecretEntry:
    file = credential_file(plan, name)
    return SecretEntry(name, file.inline or "", dict(file.vars), file.secrets)


def _users(plan: Plan) -> SecretEntry:
    values = {"user": plan["redis"]["user"], "rights": redis_rights(plan)}
    return SecretEntry(USERS_FILE, USERS, values, ("redis_password",))


def _account(login: str, secret: str) -> SecretObject:
    entries = (
        SecretEntry("username", login),
        SecretEntry("password", f"{{{{ secrets.{secret} }}}}", secrets=(secret,)),
    )
    return SecretObject(account_secret(login), entries, BASIC_AUTH)


def sources(entries: tuple[SecretEntry, ...]) -> list[str]:
    """Names of all secrets of the plan that some entries are made from, each once."""
    return sorted({name for entry in entries for name in entry.secrets})


__all__ = ["TOKENS", "SecretEntry", "SecretObject", "account_secret", "chart_secrets", "sources"]

"""Secrets that a release needs in its namespace: their keys, and from which secrets of the plan each is made.

They go through the API on their own, so that none is in Helm's values or history. Pure; never sees a secret.
"""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.module_utils.observations.backup_probe import ESCROW_DIGEST
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import (
    TOKENS,
    credential_names,
    login_secret,
    operator_credentials,
    redis_rights,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_files import credential_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.backup import backup_files, has_backups
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import (
    BACKUP,
    CREDENTIALS,
    MONITORING,
    REDIS_USERS,
    USERS_FILE,
    VERIFICATION_SECRET,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.monitoring import monitoring_secrets
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secret_object import (
    BASIC_AUTH,
    SecretEntry,
    SecretObject,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.redis_files import MONITOR_RIGHTS
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import BUNDLED, CLOUDNATIVEPG

OWNER_PASSWORD = "db_owner_password"  # noqa: S105 - the name of a secret
USERS = """\
user default off resetpass resetkeys resetchannels -@all
user {{ vars.user }} on #{{ secrets.redis_password | sha256 }} {{ vars.rights }}
"""
MONITOR = "user {{ vars.monitor }} on #{{ secrets.redis_monitor_password | sha256 }} {{ vars.monitor_rights }}\n"
"""Redis knows its users by the hashes of their passwords."""


def chart_secrets(plan: Plan) -> tuple[SecretObject, ...]:
    """Every Secret that has to be there before the release's pods can start."""
    logins = [login_secret(login) for login in (*plan["postgresql"]["logins"], *monitors(plan))]
    names = dict.fromkeys([OWNER_PASSWORD, *logins, *credential_names(operator_credentials(plan))])
    found = [SecretObject(CREDENTIALS, tuple(_credential(plan, name) for name in names))]
    if plan["kubernetes"]["cache"]["kind"] == BUNDLED:
        found.append(SecretObject(REDIS_USERS, (_users(plan),)))
    if plan["monitoring"]:
        found.append(SecretObject(MONITORING, monitoring_secrets(plan)))
    if files := backup_files(plan):
        found.append(SecretObject(BACKUP, tuple(_backup(each) for each in files)))
    if plan["kubernetes"]["database"]["kind"] == CLOUDNATIVEPG:
        database = plan["postgresql"]
        others = (*database["logins"], *monitors(plan))
        accounts = {database["owner"]: OWNER_PASSWORD, **{name: login_secret(name) for name in others}}
        found += [_account(login, secret) for login, secret in accounts.items()]
    if plan["kubernetes"].get("verification"):
        found.append(SecretObject(VERIFICATION_SECRET, tuple(map(_plain, verification_secrets(plan)))))
    return tuple(found)


def verification_secrets(plan: Plan) -> list[str]:
    """Secrets that checks log in with, and the digest of all, which tells whether the sealed archive is of today."""
    tokens = ["verify_token"] if plan["mesh"]["auth"] == "on" else []
    sealed = [ESCROW_DIGEST] if has_backups(plan) else []
    return [*tokens, "redis_password", *(["alert_token"] if plan["monitoring"] else []), *sealed]


def monitors(plan: Plan) -> list[str]:
    """Logins that read PostgreSQL's own statistics, and nothing of the mesh."""
    return [plan["monitoring"]["login"]] if plan["monitoring"] else []


def account_secret(login: str) -> str:
    """Name of the Secret with a login of CloudNativePG: `mesh_app_a` → `postgresql-mesh-app-a`."""
    return f"postgresql-{login.replace('_', '-')}"


def _credential(plan: Plan, name: str) -> SecretEntry:
    file = credential_file(plan, name)
    return SecretEntry(name, file.inline or "", dict(file.vars), file.secrets)


def _backup(file: File) -> SecretEntry:
    """A file of the backups' configuration; one without a secret in it goes the same way."""
    text = file.inline if file.inline is not None else f"{{% raw %}}{file.text}{{% endraw %}}"
    return SecretEntry(file.path.rpartition("/")[2], text, dict(file.vars), file.secrets)


def _users(plan: Plan) -> SecretEntry:
    values = {"user": plan["redis"]["user"], "rights": redis_rights(plan)}
    if not plan["monitoring"]:
        return SecretEntry(USERS_FILE, USERS, values, ("redis_password",))
    values |= {"monitor": plan["monitoring"]["login"], "monitor_rights": MONITOR_RIGHTS}
    return SecretEntry(USERS_FILE, USERS + MONITOR, values, ("redis_password", "redis_monitor_password"))


def _plain(name: str) -> SecretEntry:
    """A key whose value is the secret itself; a digest is filled in by who knows them all."""
    if name == ESCROW_DIGEST:
        return SecretEntry(name, "{{ vars.digest }}", {"digest": ""})
    return SecretEntry(name, f"{{{{ secrets.{name} }}}}", secrets=(name,))


def _account(login: str, secret: str) -> SecretObject:
    entries = (
        SecretEntry("username", login),
        SecretEntry("password", f"{{{{ secrets.{secret} }}}}", secrets=(secret,)),
    )
    return SecretObject(account_secret(login), entries, BASIC_AUTH)


def sources(entries: tuple[SecretEntry, ...]) -> list[str]:
    """Names of all secrets of the plan that some entries are made from, each once."""
    return sorted({name for entry in entries for name in entry.secrets})


__all__ = ["TOKENS", "SecretEntry", "SecretObject", "account_secret", "chart_secrets", "monitors", "sources"]

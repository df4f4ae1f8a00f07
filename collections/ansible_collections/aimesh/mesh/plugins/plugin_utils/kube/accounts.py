"""Accounts of the bundled database by the plan: which Secret, which pod, and the versions of their passwords."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import login_secret
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import (
    ACCOUNTS,
    CREDENTIALS,
    POSTGRESQL,
    SECRETS,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secrets import OWNER_PASSWORD, monitors
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.values import credentials_hash
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.expected import bundled_stores
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan


def account_arguments(plan: Plan) -> dict[str, Any] | None:
    """Options of `aimesh.mesh.k8s_accounts`, None where the database is somebody else's."""
    if POSTGRESQL not in bundled_stores(plan):
        return None
    logins = [*plan["postgresql"]["logins"], *monitors(plan)]
    keys = [OWNER_PASSWORD, *(login_secret(login) for login in logins)]
    return {
        "secret": CREDENTIALS,
        "pod": f"{POSTGRESQL}-0",
        "container": POSTGRESQL,
        "folder": SECRETS,
        "program": ACCOUNTS,
        "keys": keys,
        "fingerprint": credentials_hash(plan, keys),
    }

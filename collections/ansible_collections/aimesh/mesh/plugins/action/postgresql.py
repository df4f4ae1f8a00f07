"""Controller half of `aimesh.mesh.postgresql`: the cluster out of HostState, with the passwords of its logins."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.escrow import escrow_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import ClusterBackup, Login, PostgresqlCluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import open_store_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction


class ActionModule(SliceAction):
    module = "aimesh.mesh.postgresql"

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        cluster = part.state.postgresql
        if cluster is None:
            return None
        passwords = part.secret_values([login.secret for login in (cluster.owner, *cluster.logins)])
        args = cluster_args(cluster, passwords)
        project = part.state.project
        if cluster.container is not None and project is not None:
            args["container"] |= {"project": project.name, "folder": project.folder}
        return {"cluster": args, **({"backup": self._backup_args(part, cluster.backup)} if cluster.backup else {})}

    def _backup_args(self, part: Slice, backup: ClusterBackup) -> dict[str, Any]:
        args = asdict(backup) | {"timers": list(backup.timers)}
        recipients = args.pop("recipients")
        if part.check_mode:
            return args
        store = open_store_of(part.plan, self._loader, self._task_vars.get("inventory_dir"))
        digest, content = escrow_of(store, recipients)
        return args | {"escrow_digest": digest, "escrow_content": content}


def cluster_args(cluster: PostgresqlCluster, passwords: dict[str, str]) -> dict[str, Any]:
    """The cluster as the module takes it; a login whose secret does not exist yet has no password (check mode)."""

    def login_args(login: Login) -> dict[str, Any]:
        return {
            "name": login.name,
            "password": passwords.get(login.secret),
            "member_of": list(login.member_of),
        }

    args = asdict(cluster)
    for name in ("listen", "allow", "extensions"):
        args[name] = list(args[name])
    del args["backup"]
    container = args.pop("container")
    if container is not None:
        args["container"] = container | {"files": list(container["files"])}
    args["owner"] = login_args(cluster.owner)
    args["logins"] = [login_args(login) for login in cluster.logins]
    return args

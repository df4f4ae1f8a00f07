"""Driver `process`: the whole mesh as supervised processes on the controller, loopback only."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process import app, stores
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.layout import Layout, layout_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.supervisor_config import (
    daemon_text,
    description_text,
    identity_of,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import (
    Directory,
    File,
    Group,
    HostState,
    Release,
    User,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan


def render(plan: Plan, host: str) -> HostState:
    """The desired state of the one host of a local mesh. Raises PlanError when its paths are too long for sockets."""
    layout = layout_of(plan, host)
    system = plan["hosts"][host]["os"]
    return HostState(
        supervisor="supervisord",
        groups=(Group(layout.user),) if layout.own_user else (),
        users=(User(layout.user, layout.user),) if layout.own_user else (),
        directories=tuple(_directories(layout)),
        files=(*_daemon_files(layout), *stores.files(plan, layout), *app.files(plan, host, layout)),
        release=Release(
            id=plan["release"]["id"],
            root=layout.releases,
            python=system["python"],
            arch=system["arch"],
            interpreter=layout.interpreter,
            owner=layout.root,
            group=layout.root,
        ),
        postgresql=stores.cluster(plan, layout),
        units=(*stores.units(plan, layout), *app.units(plan, host, layout)),
    )


def _directories(layout: Layout) -> list[Directory]:
    """Every folder below the base; the base itself and the state folder come with the first record in them."""
    root, owner = layout.root, layout.owner
    return [
        Directory(layout.config, root, owner, "0750"),
        Directory(layout.programs, root, root, "0700"),
        Directory(layout.jobs, root, root, "0700"),
        Directory(layout.credentials, owner, owner, "0700"),
        Directory(layout.releases, root, root, "0755"),
        Directory(layout.logs, root, owner, "0750"),
        Directory(layout.run, root, root, "0755"),
        Directory(layout.postgresql_socket_dir, owner, owner, "0700"),
        Directory(layout.postgresql_data, owner, owner, "0700", keep=True),
        Directory(layout.redis_data, owner, owner, "0700", keep=True),
    ]


def _daemon_files(layout: Layout) -> list[File]:
    root = layout.root
    return [
        File(
            path=layout.supervisor_config,
            text=daemon_text(layout, identity_of(layout)),
            owner=root,
            group=root,
            mode="0600",
        ),
        File(path=f"{layout.run}/supervisor.json", text=description_text(layout), owner=root, group=root, mode="0600"),
    ]

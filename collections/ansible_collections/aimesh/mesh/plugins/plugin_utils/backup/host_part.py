"""What the data host has for backups; the drivers say how PostgreSQL is reached and whose its files are."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import Commands
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup import layout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.pgbackrest_config import ca_files, pgbackrest_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.program_files import (
    program_directories,
    program_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.schedule import schedule_files, timers
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.specification import specification_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import ClusterBackup, Directory, File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import TEXTFILES
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import IDENTITY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan


def backup_part(
    plan: Plan,
    commands: Commands,
    *,
    socket_dir: str,
    owner: str,
    group: str,
    mode: str,
    unit: str,
    packages: tuple[str, ...] = (),
) -> Part:
    """`owner` and `group` of what PostgreSQL's account reads, `mode` of its secrets; `unit` runs PostgreSQL."""
    backup = plan["backup"]
    if not backup["engine"]:
        return Part()
    root = backup["root"]
    theirs: dict[str, Any] = {"owner": group, "group": group, "mode": "0750", "keep": True}
    stored = (layout.repository(plan), layout.locks(plan), backup["scratch"]) if layout.archives(plan) else ()
    own: dict[str, Any] = {"owner": owner, "group": group, "mode": mode}
    return Part(
        packages=packages,
        directories=(
            Directory(layout.folder(plan), group=group, mode="0750"),
            Directory(root, keep=True),
            *(Directory(path, **theirs) for path in stored),
            *(
                Directory(path, mode="0700", keep=True)
                for path in (backup["dump"]["folder"], backup["configuration"]["folder"], backup["escrow"])
            ),
            Directory(TEXTFILES, keep=True),
            *program_directories(),
        ),
        files=(
            *((pgbackrest_file(plan, socket_dir, **own), *ca_files(plan, **own)) if layout.archives(plan) else ()),
            File(layout.recipients(plan), inline=sealed_to(plan), secrets=(IDENTITY,), **own),
            specification_file(plan, socket_dir, commands),
            *program_files(),
            *schedule_files(plan, unit),
        ),
    )


def sealed_to(plan: Plan) -> str:
    """The file of age's recipients, as a template."""
    return f"{{{{ secrets.{IDENTITY} | recipient }}}}\n" + "".join(f"{each}\n" for each in plan["backup"]["recipients"])


def cluster_backup(plan: Plan) -> ClusterBackup | None:
    """What the PostgreSQL task does for backups once the cluster is as planned."""
    backup = plan["backup"]
    if not backup["engine"]:
        return None
    return ClusterBackup(
        program=layout.PROGRAM,
        archives=layout.archives(plan),
        timers=timers(plan),
        repository=layout.repository(plan) if layout.archives(plan) else "",
        remote=any(each["kind"] != "local" for each in backup["repositories"]),
        escrow=backup["escrow"],
        recipients=tuple(backup["recipients"]),
        begin_empty=plan["wishes"]["empty_database"] == plan["mesh"]["name"],
    )

"""PostgreSQL: the distribution's packages, without their automatic main cluster, and one cluster of ours."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import Commands
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.host_part import backup_part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.postgresql_cluster import cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

SOCKETS = "/var/run/postgresql"
ACCOUNT = "postgres"
CREATECLUSTER = "/etc/postgresql-common/createcluster.d/aimesh.conf"


def render(plan: Plan, _host: str) -> Part:
    database = plan["postgresql"]
    version, name = database["version"], database["cluster"]
    return Part(
        packages=(f"postgresql-{version}",),
        package_files=(File(CREATECLUSTER, text="create_main_cluster = false\n"),),
        postgresql=cluster(
            plan,
            manager="debian",
            data_dir=database["data_dir"],
            bin_dir=f"/usr/lib/postgresql/{version}/bin",
            run_as="postgres",
            socket_dir=SOCKETS,
            unit=f"postgresql@{version}-{name}",
        ),
    )


def render_backup(plan: Plan, _host: str) -> Part:
    """What makes backups: pgBackRest as PostgreSQL's own account, age as root."""
    database = plan["postgresql"]
    # Not runuser: its session needs rights that the units of backups do not have, and fills the journal.
    become = ("setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups", "--")
    commands = Commands(
        postgres=become, offline=become, age=(), scratch_server=become, scratch_client=become, scratch_end=()
    )
    return backup_part(
        plan,
        commands,
        socket_dir=SOCKETS,
        owner="root",
        group=ACCOUNT,
        mode="0640",
        unit=f"postgresql@{database['version']}-{database['cluster']}.service",
        packages=("pgbackrest", "age", "cron"),
    )


def backup_command(plan: Plan) -> tuple[str, ...]:
    """Writes the whole database as an archive of pg_dump to its standard output."""
    database = plan["postgresql"]
    return (
        "runuser",
        "-u",
        "postgres",
        "--",
        f"/usr/lib/postgresql/{database['version']}/bin/pg_dump",
        f"--host={SOCKETS}",
        f"--port={database['port']}",
        "--format=custom",
        "--no-password",
        str(database["database"]),
    )

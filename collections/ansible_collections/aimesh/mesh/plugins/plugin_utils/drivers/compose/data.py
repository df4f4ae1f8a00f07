"""PostgreSQL in a container; its data directory is a folder of the host that outlives every container."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import Commands
from ansible_collections.aimesh.mesh.plugins.module_utils.compose import PROJECT
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup import layout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.host_part import backup_part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.layout import (
    POSTGRES_ID,
    base_path,
    container,
    folder,
    image,
    networks,
    part_path,
    unit_name,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.service import Mount, Service, service_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.postgresql_cluster import cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.postgresql_container import (
    SHARED_MB,
    STOP_S,
    memory_mb,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import ANY_ADDRESS, Plan

NAME = "postgresql"
SOCKETS = "/run/postgresql"
PIDS_MARGIN = 64
"""Processes besides one per connection: writers, vacuum workers, parallel workers."""
BACKUP_PIDS = 32
"""Processes of pgBackRest, pg_dump and age, which run beside the server."""
DRILL = "aimesh-restore-drill"
"""Container of the scratch server of a restore drill."""


def render(plan: Plan, _host: str) -> Part:
    database, path = plan["postgresql"], part_path(plan, NAME)
    address, port, published, data_dir = (
        database["listen"][0],
        database["port"],
        database["published"],
        database["data_dir"],
    )
    backups = bool(plan["backup"]["engine"])
    service = Service(
        name=NAME,
        image=NAME,
        user=POSTGRES_ID,
        command=("postgres", "-D", data_dir),
        memory_mb=memory_mb(database["settings"]),
        networks=networks(published, calls_out=_calls_out(plan)),
        address=address,
        ports=((published, port),) if published else (),
        mounts=(Mount(data_dir, data_dir, writable=True), *_backup_mounts(plan)),
        tmpfs=(f"{SOCKETS}:size=1m,mode=0770,uid={POSTGRES_ID},gid={POSTGRES_ID}",),
        health=("CMD", "pg_isready", "--quiet", f"--host={SOCKETS}", f"--port={port}"),
        pids=int(database["settings"]["max_connections"]) + PIDS_MARGIN + (BACKUP_PIDS if backups else 0),
        shm_mb=SHARED_MB,
        stop_s=STOP_S,
        # Fast shutdown: sessions end, nothing is lost, no wait for clients.
        stop_signal="SIGINT",
    )
    return Part(
        directories=(
            Directory(data_dir.rpartition("/")[0]),
            Directory(data_dir, owner=POSTGRES_ID, group=POSTGRES_ID, mode="0700", keep=True),
        ),
        files=(service_file(plan, path, service),),
        postgresql=cluster(
            plan,
            manager="container",
            data_dir=data_dir,
            bin_dir=f"/usr/lib/postgresql/{database['version']}/bin",
            run_as="postgres",
            socket_dir=SOCKETS,
            listen=(ANY_ADDRESS if published else address,),
            unit=unit_name(NAME),
            container=container(plan, NAME, path),
        ),
    )


def _calls_out(plan: Plan) -> bool:
    return any(each["kind"] != "local" for each in plan["backup"].get("repositories", ()))


def _backup_mounts(plan: Plan) -> tuple[Mount, ...]:
    """pgBackRest and age run beside PostgreSQL; a restore drill's scratch is reached through it, too."""
    if not plan["backup"]["engine"]:
        return ()
    written = (layout.repository(plan), layout.locks(plan), plan["backup"]["scratch"]) if layout.archives(plan) else ()
    own = layout.folder(plan)
    return (Mount(own, own), *(Mount(path, path, writable=True) for path in written))


def render_backup(plan: Plan, _host: str) -> Part:
    """What makes backups: pgBackRest and age in PostgreSQL's container, under timers of the host."""
    if not plan["backup"]["engine"]:
        return Part()
    files = [part for path in (base_path(plan), part_path(plan, NAME)) for part in ("--file", path)]
    inside = ("docker", "exec", "--interactive", unit_name(NAME))
    commands = Commands(
        postgres=inside,
        offline=(
            "docker", "compose", "--progress", "quiet", "--project-name", PROJECT,
            "--project-directory", folder(plan), *files, "run", "--rm", "--no-deps", "--no-TTY", NAME,
        ),
        age=inside,
        scratch_server=_scratch_server(plan),
        scratch_client=("docker", "exec", "--interactive", DRILL),
        scratch_end=("docker", "rm", "--force", DRILL),
    )  # fmt: skip
    return backup_part(
        plan,
        commands,
        socket_dir=SOCKETS,
        owner=POSTGRES_ID,
        group=POSTGRES_ID,
        mode="0400",
        unit="docker.service",
        # The daily line stands in a crontab of the host.
        packages=("cron",),
    )


def _scratch_server(plan: Plan) -> tuple[str, ...]:
    """A container as confined as those of the project, and without any network."""
    mounts = [f"{mount.source}:{mount.target}:{'rw' if mount.writable else 'ro'}" for mount in _backup_mounts(plan)]
    return (
        "docker", "run", "--rm", "--pull", "never", "--name", DRILL, "--label", "aimesh.drill=true",
        "--network", "none", "--user", f"{POSTGRES_ID}:{POSTGRES_ID}", "--read-only", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges:true", "--pids-limit", "256", "--shm-size", f"{SHARED_MB}m",
        *(word for mount in mounts for word in ("--volume", mount)), image(plan, NAME).reference,
    )  # fmt: skip


def backup_command(plan: Plan) -> tuple[str, ...]:
    """Writes the whole database as an archive of pg_dump to its standard output."""
    database = plan["postgresql"]
    return (
        "docker",
        "exec",
        # What reads the archive back takes it from standard input.
        "--interactive",
        unit_name(NAME),
        "pg_dump",
        f"--host={SOCKETS}",
        f"--port={database['port']}",
        "--format=custom",
        "--no-password",
        str(database["database"]),
    )

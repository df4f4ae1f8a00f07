"""PostgreSQL in a container; its data directory is a folder of the host that outlives every container."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.layout import (
    POSTGRES_ID,
    container,
    networks,
    part_path,
    unit_name,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.service import Mount, Service, service_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.postgresql_cluster import cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import ANY_ADDRESS, Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.stores import kilobytes

NAME = "postgresql"
SOCKETS = "/run/postgresql"
STOP_S = 60
SHARED_MB = 256
"""Shared memory, through which the processes of a parallel query pass their rows."""
PIDS_MARGIN = 64
"""Processes besides one per connection: writers, vacuum workers, parallel workers."""


def render(plan: Plan, _host: str) -> Part:
    database, path = plan["postgresql"], part_path(plan, NAME)
    address, port, published, data_dir = (
        database["listen"][0],
        database["port"],
        database["published"],
        database["data_dir"],
    )
    service = Service(
        name=NAME,
        image=NAME,
        user=POSTGRES_ID,
        command=("postgres", "-D", data_dir),
        memory_mb=memory_mb(database["settings"]),
        networks=networks(published, calls_out=False),
        address=address,
        ports=((published, port),) if published else (),
        mounts=(Mount(data_dir, data_dir, writable=True),),
        tmpfs=(f"{SOCKETS}:size=1m,mode=0770,uid={POSTGRES_ID},gid={POSTGRES_ID}",),
        health=("CMD", "pg_isready", "--quiet", f"--host={SOCKETS}", f"--port={port}"),
        pids=int(database["settings"]["max_connections"]) + PIDS_MARGIN,
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


def memory_mb(settings: dict[str, str]) -> int:
    """The cache that the planner of queries counts on, which is counted here too, and memory for every connection."""
    sizes = {
        name: kilobytes(settings[name]) or 0 for name in ("effective_cache_size", "work_mem", "maintenance_work_mem")
    }
    each = sizes["work_mem"] * int(settings["max_connections"])
    return (sizes["effective_cache_size"] + each + sizes["maintenance_work_mem"]) // 1024 + SHARED_MB

"""What is measured: durable PostgreSQL, Redis, the six services as deployed on a small site, and a bare server."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "mesh_app" / "tests"))

from support.binaries import Binaries, find_binaries
from support.mesh import SERVICES, TOKENS, Mesh, http
from support.servers import PostgreSQL, Redis, as_unprivileged, free_port, wait_for_port

__all__ = [
    "SERVICES",
    "TOKENS",
    "DeployedMesh",
    "PeerRedis",
    "Stack",
    "free_port",
    "http",
    "mesh_pids",
    "peer_redis",
    "running_hello",
    "running_mesh",
    "running_stack",
]
TUNING = {
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "effective_cache_size": "1536MB",
    "max_wal_size": "2GB",
    "wal_level": "replica",
    "max_connections": "200",
}
POOLS = {"federation": "4", "ui": "4"}
"""The connections per process of the size `small`; 8 for the others."""


class DurablePostgreSQL(PostgreSQL):
    """Every commit is on disk before it is acknowledged; the servers of the tests leave that out."""

    def command(self) -> list[str]:
        settings = {**TUNING, "listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.directory)}
        options = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        return [str(self.bin / "postgres"), "-D", str(self.directory / "data"), "-p", str(self.port), *options]


class DeployedMesh(Mesh):
    """The mesh of the tests with the pool sizes of a deployment and authentication on."""

    def env(self, service: str) -> dict[str, str]:
        deployed = {"MESH_DB_POOL_MAX": POOLS.get(service, "8"), "MESH_FEDERATION_INTERVAL_SECONDS": "5"}
        return {**super().env(service), **deployed}


@dataclass(frozen=True)
class Stack:
    directory: Path
    postgresql: PostgreSQL
    redis: Redis
    binaries: Binaries

    @property
    def pids(self) -> dict[str, int]:
        servers = {"postgresql": self.postgresql.process, "redis": self.redis.process}
        return {name: process.pid for name, process in servers.items() if process is not None}


@contextmanager
def running_stack() -> Iterator[Stack]:
    directory = Path(tempfile.mkdtemp(prefix="mesh-bench-"))
    directory.chmod(0o711)
    binaries = find_binaries(directory)
    homes = {name: directory / name for name in ("postgresql", "redis")}
    for home in homes.values():
        home.mkdir(mode=0o700)
        if as_unprivileged():
            shutil.chown(home, "nobody", "nogroup")
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, directory)
        postgresql, redis = DurablePostgreSQL(homes["postgresql"], binaries), Redis(homes["redis"], binaries)
        for server in (postgresql, redis):
            cleanup.callback(server.stop)
            server.create()
        yield Stack(directory, postgresql, redis, binaries)


@contextmanager
def running_mesh(stack: Stack) -> Iterator[DeployedMesh]:
    mesh = DeployedMesh("bench", stack.directory / "mesh", stack.postgresql, stack.redis, auth="on")
    try:
        mesh.migrate()
        mesh.start()
        yield mesh
    finally:
        mesh.signal_stop()
        mesh.stop()


class PeerRedis(Redis):
    """Redis for a peer: any key, no password, loopback only."""

    def create(self) -> None:
        (self.directory / "redis.conf").write_text(f'port {self.port}\nbind 127.0.0.1\nsave ""\n')
        self.start()


@contextmanager
def peer_redis(stack: Stack) -> Iterator[PeerRedis]:
    home = stack.directory / "peer-redis"
    home.mkdir()
    if as_unprivileged():
        shutil.chown(home, "nobody", "nogroup")
    redis = PeerRedis(home, stack.binaries)
    redis.create()
    try:
        yield redis
    finally:
        redis.stop()


def mesh_pids(mesh: Mesh, *services: str) -> dict[str, int]:
    return {name: mesh.processes[name].pid for name in services or SERVICES}


@contextmanager
def running_hello() -> Iterator[tuple[str, int]]:
    """The bare server's URL and process id."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.app.hello", str(port)], cwd=ROOT)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/hello", process.pid
    finally:
        process.terminate()
        process.wait(10)

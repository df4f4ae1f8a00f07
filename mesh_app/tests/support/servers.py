"""A real PostgreSQL and a real Redis on loopback, in a folder of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .binaries import Binaries

OWNER_PASSWORD = "owner-3f9c1b7e5d2a4860b1c7e9f0a2d4c6e8"
APP_PASSWORD = "app-71d0c2e4f6a8b9d3e5f7081a2b3c4d5e6f"
REDIS_PASSWORD = "redis-9a8b7c6d5e4f30211f0e9d8c7b6a5948"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def as_unprivileged() -> dict[str, Any]:
    """Arguments of subprocess that drop root, which PostgreSQL refuses to run as."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


class Server:
    """A server process that tests may stop, freeze and start again on the same port and data."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        with (self.directory.parent / f"{self.directory.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.directory, env={"LC_ALL": "C"}, **as_unprivileged()
            )
        wait_for_port(self.port)

    def stop(self, how: int = signal.SIGINT) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(20)
        self.process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of the server is stopped by SIGSTOP: connections open, nobody answers."""
        assert self.process is not None
        family = [self.process.pid, *children_of(self.process.pid)]
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in family:
                os.kill(pid, signal.SIGCONT)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for_port(port: int, timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port} after {timeout} s")


class PostgreSQL(Server):
    """Superuser `postgres` over the socket only; over TCP everybody needs SCRAM."""

    def __init__(self, directory: Path, binaries: Binaries) -> None:
        super().__init__(directory)
        self.bin = binaries.postgresql

    def command(self) -> list[str]:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.directory,
            "fsync": "off",
        }
        settings = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
        return [str(self.bin / "postgres"), "-D", str(self.directory / "data"), *settings, "-c", "max_connections=200"]

    def create(self) -> None:
        initdb = [
            str(self.bin / "initdb"),
            "-D",
            str(self.directory / "data"),
            "-U",
            "postgres",
            "--locale=C",
            "-E",
            "UTF8",
        ]
        self._run([*initdb, "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"])
        self.start()
        self._ready()
        self.sql(
            f"CREATE ROLE mesh LOGIN PASSWORD '{OWNER_PASSWORD}'",
            f"CREATE ROLE mesh_app_a LOGIN PASSWORD '{APP_PASSWORD}' IN ROLE mesh",
            f"CREATE ROLE mesh_app_b LOGIN PASSWORD '{APP_PASSWORD}' IN ROLE mesh",
        )

    def start(self) -> None:
        super().start()
        self._ready()

    def create_database(self, name: str) -> None:
        self.sql(f'CREATE DATABASE "{name}" OWNER mesh')

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """Runs statements as superuser; returns what psql prints (unaligned, tuples only)."""
        texts = [text for statement in statements for text in ("-c", statement)]
        psql = [
            str(self.bin / "psql"),
            "-h",
            str(self.directory),
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-d",
            database,
        ]
        return self._run([*psql, "-v", "ON_ERROR_STOP=1", "-X", "-q", "-A", "-t", *texts]).strip()

    def _ready(self) -> None:
        ready = [str(self.bin / "pg_isready"), "-q", "-h", str(self.directory), "-p", str(self.port)]
        for _ in range(200):
            if subprocess.run(ready, check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError("PostgreSQL does not accept connections")

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=self.directory, **as_unprivileged()
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stderr}")
        return done.stdout


class Redis(Server):
    """User `mesh` may do what it may in a deployment; `operator` is the tests' own."""

    def __init__(self, directory: Path, binaries: Binaries) -> None:
        super().__init__(directory)
        self.bin = binaries.redis

    def command(self) -> list[str]:
        return [str(self.bin / "redis-server"), str(self.directory / "redis.conf")]

    def create(self) -> None:
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            'save ""',
            "user default off",
            f"user mesh on >{REDIS_PASSWORD} resetchannels ~mesh:* +@all -@admin -@dangerous -@scripting +info",
            f"user operator on >{REDIS_PASSWORD} ~* &* +@all",
        ]
        (self.directory / "redis.conf").write_text("\n".join(lines) + "\n")
        self.start()

    def operate(self, *words: str) -> list[str]:
        """Runs one command as the operator, who may do anything; returns the lines that redis-cli prints."""
        client = [str(self.bin / "redis-cli"), "-p", str(self.port), "--user", "operator", "--no-auth-warning"]
        done = subprocess.run(
            [*client, *words], check=True, capture_output=True, text=True, env={"REDISCLI_AUTH": REDIS_PASSWORD}
        )
        return done.stdout.split()

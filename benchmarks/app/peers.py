"""A peer doing the same class of work on the same PostgreSQL: one authenticated request that creates one record.

ContextForge (mcp-contextforge-gateway) runs as its own scripts start it: gunicorn, 2 x cores + 1 uvicorn workers,
preloaded, access log off, pools, caches and log level as its compose file has them, and a Redis of its own (its
channels need more rights than the mesh's login has). Switched off: its web UI and admin API, which the requests here
do not touch, and its rate limits, which would answer most of them with 429 (ours has none by default).

LiteLLM's proxy is not measured: its database client fetches a query engine from a host of its own while it installs, so
it cannot be installed from a package index alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.app.load import MARK, LoadSpec
from benchmarks.app.stack import ROOT, PeerRedis, Stack, free_port, http, peer_redis

LOCK = Path(__file__).parent / "peers" / "contextforge.lock"
HOME = ROOT / ".cache" / "peers" / "contextforge"
NOT_MEASURED = {
    "LiteLLM proxy": "its database client fetches a query engine from a host of its own while it installs, "
    "so a package index alone does not give a proxy with PostgreSQL"
}
_ADMIN = "admin@example.com"
_KEY = "bench-jwt-key-0123456789abcdef0123456789"


@dataclass(frozen=True)
class Peer:
    version: str
    pid: int
    specs: dict[str, LoadSpec]
    what_differs: str


def install() -> None:
    """Makes the peer's environment from its lock, once; raises CalledProcessError."""
    marker = HOME / ".made-from"
    if marker.exists() and marker.read_text() == LOCK.read_text():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(HOME)], check=True)
    pip = next((ROOT / "third_party").glob("pip-*.whl")) / "pip"
    command = [str(HOME / "bin" / "python"), str(pip), "install", "-q", "--no-deps", "-r", str(LOCK)]
    subprocess.run(command, check=True)
    marker.write_text(LOCK.read_text())


@contextmanager
def running_contextforge(stack: Stack, cores: int) -> Iterator[Peer]:
    stack.postgresql.sql("CREATE ROLE peer LOGIN PASSWORD 'peer'")
    stack.postgresql.sql("CREATE DATABASE contextforge OWNER peer")
    with peer_redis(stack) as redis:
        port = free_port()
        environment = _environment(stack, redis, port)
        log = stack.directory / "contextforge.log"
        command = [
            *(str(HOME / "bin" / "gunicorn"), "--worker-class", "uvicorn.workers.UvicornWorker"),
            *("--workers", str(2 * cores + 1), "--bind", f"127.0.0.1:{port}", "--timeout", "600"),
            *("--max-requests", "100000", "--preload", "--access-logfile", "/dev/null", "mcpgateway.main:app"),
        ]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, env=environment, cwd=stack.directory, stdout=out, stderr=out, start_new_session=True
            )
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, log)
            yield Peer(_version(), process.pid, _specs(port, _token(environment)), _WHAT_DIFFERS)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            # Workers that outlive their parent would take CPU from whatever is measured next.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


_WHAT_DIFFERS = (
    "ContextForge does in one process what our gateway and our registry do in two, so it saves a hop. Per request it "
    "also looks up the caller's roles and teams, guards the agent's address against request forgery, and gives an "
    "A2A agent a tool record; a tool is one record. Ours checks a token, validates a smaller record, and "
    "writes an access and an audit line to the log of both services; access log and audit trail are off in theirs."
)


def _environment(stack: Stack, redis: PeerRedis, port: int) -> dict[str, str]:
    return {
        "PATH": f"{HOME / 'bin'}:{os.environ['PATH']}",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "ENVIRONMENT": "production",
        "DATABASE_URL": f"postgresql+psycopg://peer:peer@127.0.0.1:{stack.postgresql.port}/contextforge",
        "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
        "CACHE_TYPE": "redis",
        "JWT_SECRET_KEY": _KEY,
        "AUTH_ENCRYPTION_SECRET": "bench-encryption-0123456789abcdef0123",
        "AUTH_REQUIRED": "true",
        "PLATFORM_ADMIN_EMAIL": _ADMIN,
        "PLATFORM_ADMIN_PASSWORD": "Bench-Admin-2026!x",
        "DEFAULT_USER_PASSWORD": "Bench-User-2026!x",
        "BASIC_AUTH_PASSWORD": "Bench-Basic-2026!x",
        "MCPGATEWAY_A2A_ENABLED": "true",
        "MCPGATEWAY_UI_ENABLED": "false",
        "MCPGATEWAY_ADMIN_API_ENABLED": "false",
        "LOG_LEVEL": "ERROR",
        "DISABLE_ACCESS_LOG": "true",
        "RATE_LIMITING_ENABLED": "false",
        "TOOL_RATE_LIMIT": "1000000",
        "STRUCTURED_LOGGING_DATABASE_ENABLED": "false",
        "AUDIT_TRAIL_ENABLED": "false",
        "DB_POOL_CLASS": "queue",
        "DB_POOL_SIZE": "20",
        "DB_MAX_OVERFLOW": "10",
        "AUTH_CACHE_ENABLED": "true",
        "REGISTRY_CACHE_ENABLED": "true",
        # The registered address is on loopback, as nothing outside can be resolved from every machine.
        "SSRF_ALLOW_LOCALHOST": "true",
        "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
    }


def _specs(port: int, token: str) -> dict[str, LoadSpec]:
    address = "http://127.0.0.1:9000/a2a"
    agent = {"agent": {"name": f"agent-{MARK}", "endpoint_url": address, "agent_type": "chat"}, "visibility": "public"}
    tool = {
        "tool": {"name": f"tool-{MARK}", "url": address, "integration_type": "REST", "request_type": "POST"},
        "visibility": "public",
    }
    headers = {"Authorization": f"Bearer {token}"}
    root = f"http://127.0.0.1:{port}"
    return {
        "ContextForge: create A2A agent": LoadSpec(f"{root}/a2a", "POST", json.dumps(agent), headers, warm_up=10),
        "ContextForge: create tool": LoadSpec(f"{root}/tools", "POST", json.dumps(tool), headers, warm_up=10),
    }


def _token(environment: dict[str, str]) -> str:
    command = [str(HOME / "bin" / "python"), "-m", "mcpgateway.utils.create_jwt_token"]
    command += ["-u", _ADMIN, "--exp", "600", "--admin", "-s", _KEY]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip().splitlines()[-1]


def _version() -> str:
    return next(line for line in LOCK.read_text().splitlines() if line.startswith("mcp-contextforge-gateway=="))


def _wait(url: str, process: subprocess.Popen[bytes], log: Path, timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if http("GET", url, timeout=3).json["status"] == "healthy":
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.5)
    raise RuntimeError(f"ContextForge is not healthy:\n{log.read_text()[-2000:]}")

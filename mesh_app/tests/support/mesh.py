"""One mesh for a test: a database of its own and six service processes with real configuration files."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from .servers import APP_PASSWORD, OWNER_PASSWORD, REDIS_PASSWORD, PostgreSQL, Redis, free_port

SERVICES = ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")
TOKENS = {
    "service": "service-token-d41d8cd98f00b204e9800998ecf8427e",
    "verify": "verify-token-0cc175b9c0f1b6a831c399e269772661",
    "admin": "admin-token-92eb5ffee6ae2fec3ad71c777531578f",
    "operator": "operator-token-8fa14cdd754f91cc6554c9e71929cce7",
    "reader": "reader-token-4a8a08f09d37b73795649038408b5f33",
}
SESSION_KEY = "session-key-8277e0910d750195b448797616e091ad"
FEDERATION_KEY = "federation-key-e1671797c52e15f763380b45e841ec32"
RULES = [
    {
        "id": "prompt-injection",
        "kind": "keyword",
        "any": ["ignore previous instructions"],
        "effect": "deny",
        "reason": "injection",
    },
    {
        "id": "card-number",
        "kind": "regex",
        "pattern": r"\b(?:\d[ -]?){13,16}\b",
        "effect": "redact",
        "reason": "payment card number",
    },
    {
        "id": "prompt-size",
        "kind": "size",
        "max_chars": 1000,
        "effect": "deny",
        "reason": "prompt longer than 1000 characters",
    },
]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())


def http(
    method: str, url: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = 10.0
) -> Answer:
    """One request; `body` bytes go as they are, anything else as JSON. Any status is an answer."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            return Answer(response.status, _headers(response.headers), response.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, _headers(error.headers), error.read())


def _headers(message: Message) -> dict[str, str]:
    """Names in lower case; a header that comes twice is joined by commas."""
    return {name.lower(): ", ".join(message.get_all(name, [])) for name in message}


class Mesh:
    """Configuration and processes of one mesh named `name`."""

    def __init__(self, name: str, directory: Path, postgresql: PostgreSQL, redis: Redis, *, auth: str = "off") -> None:
        self.name = name
        self.directory = directory
        self.postgresql = postgresql
        self.redis = redis
        self.auth = auth
        self.extra: dict[str, str] = {}
        self.database = f"mesh_{name}"
        self.ports = {service: free_port() for service in SERVICES}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        directory.mkdir(parents=True)
        self._write_files()
        postgresql.create_database(self.database)

    def _write_files(self) -> None:
        tokens = [
            {"subject": name, "role": name, "sha256": hashlib.sha256(token.encode()).hexdigest()}
            for name, token in TOKENS.items()
        ]
        texts = {
            "db_owner": OWNER_PASSWORD,
            "db_app": APP_PASSWORD,
            "redis": REDIS_PASSWORD,
            "tokens.json": json.dumps(tokens),
            "service_token": TOKENS["service"],
            "session_key": SESSION_KEY,
            "federation_key": FEDERATION_KEY,
            "peers.json": "[]",
            "policy.json": json.dumps({"rules": RULES}),
        }
        for name, text in texts.items():
            (self.directory / name).write_text(text + "\n")
            (self.directory / name).chmod(0o600)

    def env(self, service: str) -> dict[str, str]:
        at = f"127.0.0.1:{self.postgresql.port}/{self.database}"
        files = self.directory
        env = {
            "PATH": os.environ["PATH"],
            "MESH_NAME": self.name,
            "MESH_RELEASE": "1.0.0+cafe0123",
            "MESH_INSTANCE": f"{service}@a",
            "MESH_BIND": "127.0.0.1",
            "MESH_PORT": str(self.ports.get(service, 0)),
            "MESH_AUTH": self.auth,
            "MESH_DATABASE_URL": f"postgresql://mesh_app_a@{at}",
            "MESH_DATABASE_PASSWORD_FILE": str(files / "db_app"),
            "MESH_MIGRATION_DATABASE_URL": f"postgresql://mesh@{at}",
            "MESH_MIGRATION_DATABASE_PASSWORD_FILE": str(files / "db_owner"),
            "MESH_DB_POOL_MIN": "1",
            "MESH_DB_POOL_MAX": "4",
            "MESH_REDIS_URL": f"redis://mesh@127.0.0.1:{self.redis.port}/0",
            "MESH_REDIS_PASSWORD_FILE": str(files / "redis"),
            "MESH_TOKENS_FILE": str(files / "tokens.json"),
            "MESH_SERVICE_TOKEN_FILE": str(files / "service_token"),
            "MESH_SESSION_KEY_FILE": str(files / "session_key"),
            "MESH_FEDERATION_KEY_FILE": str(files / "federation_key"),
            "MESH_FEDERATION_INTERVAL_SECONDS": "0.3",
            "MESH_PEERS_FILE": str(files / "peers.json"),
            "MESH_POLICY_FILE": str(files / "policy.json"),
            "MESH_DRAIN_SECONDS": "0.5",
        }
        for name in SERVICES:
            env[f"MESH_URL_{name.removeprefix('api-').upper()}"] = f"http://127.0.0.1:{self.ports[name]}"
        return env | self.extra

    def command(
        self, *arguments: str, env: dict[str, str] | None = None, timeout: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Runs `mesh ARGUMENTS` to its end in this mesh's environment, changed by `env` (an empty value removes)."""
        merged = {key: value for key, value in {**self.env(arguments[0]), **(env or {})}.items() if value}
        return subprocess.run(
            [sys.executable, "-m", "mesh", *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=merged,
            timeout=timeout,
        )

    def migrate(self) -> None:
        done = self.command("migrate")
        assert done.returncode == 0, done.stderr

    def start(self, *services: str, env: dict[str, str] | None = None, wait: bool = True) -> None:
        for service in services or SERVICES:
            with self.log(service).open("ab") as log:
                merged = {**self.env(service), **(env or {})}
                self.processes[service] = subprocess.Popen(
                    [sys.executable, "-m", "mesh", service], stdout=log, stderr=log, env=merged
                )
        for service in services or SERVICES:
            if wait:
                self.wait(service, 200)

    def start_as(self, name: str, service: str, env: dict[str, str] | None = None, wait: bool = True) -> None:
        """One more process of `service` under another name, on the port that `ports[name]` says or on a free one."""
        self.ports.setdefault(name, free_port())
        letter = name.rpartition("-")[2]
        own = {"MESH_PORT": str(self.ports[name]), "MESH_INSTANCE": f"{service}@{letter}"}
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "mesh", service],
                stdout=log,
                stderr=log,
                env={**self.env(service), **own, **(env or {})},
            )
        if wait:
            self.wait(name, 200)

    def log(self, service: str) -> Path:
        return self.directory / f"{service}.log"

    def wait_for_log(self, service: str, text: str, timeout: float = 10.0) -> None:
        """Until the service's log holds `text`: a request is logged after it was answered. Raises after `timeout` s."""
        deadline = time.monotonic() + timeout
        while text not in self.log(service).read_text():
            if time.monotonic() > deadline:
                raise AssertionError(f"{text} is not in the log of {service} after {timeout:.0f} s")
            time.sleep(0.05)

    def url(self, service: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[service]}{path}"

    def call(
        self, method: str, service: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            named["Authorization"] = f"Bearer {TOKENS.get(token, token)}"
        return http(method, self.url(service, path), body, named)

    def wait(self, service: str, status: int, timeout: float = 60.0) -> Answer:
        """The first answer of GET /health with `status`; raises after `timeout` seconds."""
        deadline, last = time.monotonic() + timeout, "nothing"
        while time.monotonic() < deadline:
            try:
                answer = http("GET", self.url(service, "/health"), timeout=5)
            except OSError as error:
                last = str(error)
            else:
                if answer.status == status:
                    return answer
                last = answer.text
            time.sleep(0.05)
        raise AssertionError(
            f"{service} did not answer {status} within {timeout} s: {last}\n{self.log(service).read_text()[-2000:]}"
        )

    def metric(self, service: str, series: str) -> float | None:
        """The value of one series as /metrics prints it, or None."""
        for line in self.call("GET", service, "/metrics").text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return None

    def sql(self, *statements: str) -> str:
        return self.postgresql.sql(*statements, database=self.database)

    def signal_stop(self, *services: str) -> tuple[str, ...]:
        """Sends SIGTERM without waiting; returns whom."""
        names = services or tuple(self.processes)
        for name in names:
            self.processes[name].send_signal(signal.SIGTERM)
        return names

    def stop(self, *services: str) -> None:
        for name in self.signal_stop(*services):
            process = self.processes.pop(name)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

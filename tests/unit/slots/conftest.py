from __future__ import annotations

import http.server
import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import steady
from ansible_collections.aimesh.mesh.plugins.module_utils.edge_servers import EdgeServers
from ansible_collections.aimesh.mesh.plugins.module_utils.haproxy_runtime import RuntimeApi
from ansible_collections.aimesh.mesh.plugins.module_utils.host_files import wanted_file
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import Gate
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotState
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_spec import SlotSpec, StepSpec
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_steps import Steps

from .fake_haproxy import FakeHaproxy


@dataclass
class FakeSupervisor:
    """Units whose `definition` file says the version that they serve; a start reads it, as a real one would."""

    definitions: dict[str, Path]
    log: list[str] = field(default_factory=list)
    states: dict[str, SlotState] = field(default_factory=dict)
    serving: dict[str, str] = field(default_factory=dict)
    enabled: set[str] = field(default_factory=set)
    job_ends: str = ""
    on_reload: Callable[[], str] = lambda: ""
    pids: int = 100

    def state(self, name: str) -> SlotState:
        return self.states.get(name) or SlotState(name, present=name in self.definitions and self._path(name).exists())

    def trouble(self, name: str) -> str | None:
        return None if self.state(name).running else f"has ended by itself: {self.state(name).text}"

    def load(self, names: list[str]) -> None:
        self.log.append(f"load {' '.join(names)}")

    def start(self, name: str) -> None:
        self.log.append(f"start {name}")
        self.pids += 1
        self.states[name] = SlotState(name, True, True, "active (running)", self.pids, str(self.pids))
        self.serving[name] = self._path(name).read_text()
        self.enabled.add(name)

    def stop(self, name: str, stop_s: float) -> str:
        del stop_s
        self.log.append(f"stop {name}")
        was = self.state(name).running
        self.states[name] = SlotState(name, present=True, text="inactive (dead)")
        self.serving.pop(name, None)
        return "ended by itself" if was else "was down already"

    def discard(self, name: str) -> None:
        self.log.append(f"discard {name}")
        self.enabled.discard(name)
        self.states.pop(name, None)

    def reload(self, name: str) -> str:
        self.log.append(f"reload {name}")
        return self.on_reload()

    def run(self, name: str) -> str:
        self.log.append(f"run {name}")
        return self.job_ends

    def journal(self, name: str) -> list[str]:
        return [f"{name} said this"]

    def log_command(self, name: str) -> str:
        return f"journalctl -u {name}"

    def crash(self, name: str, *, restarted: bool) -> None:
        state = self.states[name]
        self.pids += 1
        self.states[name] = (
            replace(state, pid=self.pids, restarts=1) if restarted else replace(state, running=False, text="failed")
        )

    def _path(self, name: str) -> Path:
        return self.definitions[name]


@dataclass
class Host:
    """One host with the slots `registry@a` and `registry@b`, HAProxy in front of them, and a migration."""

    folder: Path
    supervisor: FakeSupervisor
    haproxy: FakeHaproxy
    port: int
    acts_as_edge: bool = True

    @property
    def state_dir(self) -> str:
        return str(self.folder / "state")

    def path(self, unit: str) -> Path:
        return self.folder / "etc" / f"{unit}.service"

    def slot(self, unit: str, version: str) -> SlotSpec:
        kinds: dict[str, dict[str, Any]] = {
            "registry@a": {"server": "registry/vm1-a"},
            "registry@b": {"server": "registry/vm1-b"},
            "migrate": {"oneshot": True},
            "haproxy": {"reload": True},
        }
        file = {
            "path": str(self.path(unit)), "content": version, "secret_content": None, "sensitive": False,
            "owner": "", "group": "", "mode": "0640", "validate": [],
        }  # fmt: skip
        gate = Gate(unit, url=f"http://127.0.0.1:{self.port}/{unit}", version=version, timeout_s=1.0)
        return SlotSpec(
            unit,
            fingerprint=f"sha256:{version}",
            files=(wanted_file(file, predict=False),),
            gate=gate if "@" in unit else None,
            **kinds[unit],
        )

    def steps(self, version: str = "new") -> Steps:
        units = ("registry@a", "registry@b", "migrate", "haproxy")
        return Steps(
            self.state_dir,
            "run1",
            {unit: self.slot(unit, version) for unit in units},
            self.supervisor,
            EdgeServers(RuntimeApi(self.haproxy.path), look_every_s=0.01) if self.acts_as_edge else None,
        )

    def do(self, action: str, unit: str = "registry@a", version: str = "new", **fields: Any) -> Any:
        gates = {"start": ("ready_on_release", version), "soak": ("steady_seconds", "0.2")}
        gate, limit = gates.get(action, ("none", ""))
        server = fields.pop("server", self.slot(unit, version).server)
        step = StepSpec(1, action, unit, server, gate, limit, **{"timeout_s": 1.0} | fields)
        return self.steps(version).execute(step)


@pytest.fixture
def host(tmp_path: Path, short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """`registry@a` serves `old` and takes calls; `registry@b` is a spare that is not there."""
    monkeypatch.setattr(steady, "LOOK_EVERY_S", 0.01)
    (tmp_path / "state").mkdir()
    (tmp_path / "etc").mkdir()
    definitions = {
        unit: tmp_path / "etc" / f"{unit}.service" for unit in ("registry@a", "registry@b", "migrate", "haproxy")
    }
    supervisor = FakeSupervisor(definitions)
    server = _server(supervisor)
    haproxy = FakeHaproxy(f"{short_folder}/h.sock")
    made = Host(tmp_path, supervisor, haproxy, server.server_address[1])
    made.do("start", version="old")
    made.do("soak", version="old")
    supervisor.log.clear()
    yield made
    haproxy.close()
    server.shutdown()
    server.server_close()


def _server(supervisor: FakeSupervisor) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = supervisor.serving.get(self.path.strip("/"), "")
            body = json.dumps({"version": version}).encode()
            self.send_response(503 if version in ("", "never") else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """The path of a unix socket has at most 107 bytes, and the folders of pytest may be longer."""
    with tempfile.TemporaryDirectory(prefix="h-") as folder:
        yield Path(folder)

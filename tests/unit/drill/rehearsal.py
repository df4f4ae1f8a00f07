"""Monitoring as processes on loopback: Prometheus, Alertmanager, the alert receiver, an exporter to be stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.api import Api
from ansible_collections.aimesh.mesh.plugins.module_utils.proc import stat_of
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotState
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.alertmanager import alertmanager_config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.drill import pair_files, pair_options
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import render_files
from monitoring_tools import tool
from receiver_process import TOKEN, ReceiverProcess, free_port

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
TARGET = Path(__file__).with_name("target.py")
UNIT = "aimesh-redis-exporter"
Plan = dict[str, Any]


def plan_of(site: str = "small") -> Plan:
    document: Plan = json.loads((FIXTURES / f"plan_{site}.json").read_text(encoding="utf-8"))
    document["wishes"]["drill"] = "alerts"
    return document


def moved(plan: Plan, ports: dict[str, int]) -> Plan:
    """The plan with these parts of monitoring at other ports of the loopback."""
    for part in plan["monitoring"]["parts"]:
        if part["part"] in ports:
            part |= {"port": ports[part["part"]], "address": f"127.0.0.1:{ports[part['part']]}"}
    return plan


def wait_until(reached: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@dataclass
class Exporter:
    """The exporter under a supervisor of its own, which other processes can ask, too: its record is a file."""

    port: int
    record: Path

    def state(self, name: str) -> SlotState:
        stat = stat_of(self._pid()) if self._pid() else None
        running = stat is not None and stat.state != "Z"
        return SlotState(name, present=True, running=running, text="active" if running else "inactive (dead)")

    def start(self, name: str) -> None:
        if not self.state(name).running:
            process = subprocess.Popen([sys.executable, str(TARGET), str(self.port)], start_new_session=True)
            self.record.write_text(str(process.pid))

    def stop(self, _name: str, _stop_s: float) -> str:
        if self._pid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid(), signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid(), 0)
        self.record.unlink(missing_ok=True)
        return "ended by itself"

    def log_command(self, name: str) -> str:
        return f"journalctl -u {name}"

    def _pid(self) -> int:
        return int(self.record.read_text()) if self.record.exists() else 0


class Prometheus:
    """The mesh's own, with the rules of a plan and nothing to ask."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir(parents=True)
        (folder / "rules.yml").write_text(rule_file(plan))
        (folder / "prometheus.yml").write_text(json.dumps({"rule_files": ["rules.yml"]}))
        command = [str(tool("prometheus")), f"--config.file={folder}/prometheus.yml"]
        command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.api = Api(f"http://127.0.0.1:{self.port}")
        wait_until(self.api.ready, 20, "Prometheus is not ready")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class Alertmanager:
    """The mesh's own: a process with the configuration of a plan."""

    def __init__(self, plan: Plan, folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.log = folder / "alertmanager.log"
        self.port = next(part["port"] for part in plan["monitoring"]["parts"] if part["part"] == "alertmanager")
        folder.mkdir(parents=True, exist_ok=True)
        made = alertmanager_config(plan, templates=str(folder / "*.tmpl"))
        (folder / "alertmanager.yml").write_text(rendered(plan, made.inline, change))
        command = [str(tool("alertmanager")), f"--config.file={folder}/alertmanager.yml", "--cluster.listen-address="]
        command += [f"--storage.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.api = Api(f"http://127.0.0.1:{self.port}")
        wait_until(self.api.ready, 20, "Alertmanager is not ready")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def rendered(plan: Plan, inline: str, change: Callable[[dict[str, Any]], None]) -> str:
    file = File("alertmanager.yml", inline=inline, secrets=("alert_token",))
    (made,) = render_files([file], plan, "vm1", None, {"alert_token": TOKEN})
    document = json.loads(made.content or "")
    change(document)
    return json.dumps(document)


@dataclass
class Rehearsal:
    plan: Plan
    folder: Path
    exporter: Exporter
    receiver: ReceiverProcess
    alertmanager: Alertmanager
    own: Prometheus
    started: list[Alertmanager] = field(default_factory=list)

    @property
    def ledger(self) -> Api:
        return Api(self.receiver.url, TOKEN)

    @property
    def prometheus(self) -> Api:
        return self.own.api

    def another_alertmanager(self, change: Callable[[dict[str, Any]], None]) -> Alertmanager:
        """One more, with something wrong in its configuration."""
        port = free_port()
        plan = moved(json.loads(json.dumps(self.plan)), {"alertmanager": port})
        made = Alertmanager(plan, self.folder / f"alertmanager-{port}", change)
        self.started.append(made)
        return made

    def pair(self, drill_id: str, change: Callable[[dict[str, str]], None] = lambda _: None) -> dict[str, Any]:
        """What `Pair.start` takes; `change` gets path → content of its files."""
        files = render_files(pair_files(self.plan, drill_id), self.plan, "vm1", None, {"alert_token": TOKEN})
        contents = {file.path: file.content or "" for file in files}
        change(contents)
        options = pair_options(self.plan)
        programs = {"alertmanager": str(tool("alertmanager")), "prometheus": str(tool("prometheus"))}
        commands = {name: [programs[name], *command[1:]] for name, command in options["commands"].items()}
        return options | {
            "folder": str(self.folder / "scratch"),
            "owner": "",
            "user": "",
            "commands": commands,
            "files": [{"path": path, "content": content} for path, content in contents.items()],
        }

    def close(self) -> None:
        self.exporter.stop(UNIT, 0)
        for program in (self.alertmanager, self.own, *self.started):
            program.stop()
        self.receiver.stop()


@contextlib.contextmanager
def rehearsal(folder: Path) -> Iterator[Rehearsal]:
    receiver = ReceiverProcess(folder / "receiver")
    receiver.start()
    exporter = Exporter(free_port(), folder / "exporter.pid")
    exporter.start(UNIT)
    plan = moved(
        plan_of(), {"redis-exporter": exporter.port, "alert-receiver": receiver.port, "alertmanager": free_port()}
    )
    own = Prometheus(plan, folder / "prometheus")
    made = Rehearsal(plan, folder, exporter, receiver, Alertmanager(plan, folder / "alertmanager"), own)
    try:
        yield made
    finally:
        made.close()

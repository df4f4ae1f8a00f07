"""How one part of monitoring runs under systemd: its command, what it loads, its unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import READY_S, reachable
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.layout import quoted, unit_file, unit_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File, Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import READY, Seen, run_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

USER = "prometheus"
"""Comes with each of Debian's packages."""
CREDENTIALS = "%d"
"""The folder in which systemd shows a unit its credentials."""
OWN_START = ("# It tells when it started, which the kernel counts from the boot: /proc/stat.", "ProcSubset=all")


@dataclass(frozen=True)
class Program:
    """A part of the plan as a unit."""

    part: dict[str, Any]
    title: str
    seen: Seen
    """Where its process finds what it reads."""
    user: str = USER
    credentials: dict[str, str] = field(default_factory=dict)
    """Name below `CREDENTIALS` → path on the host; only systemd reads the file."""
    files: tuple[str, ...] = ()
    """Paths that it reads itself."""
    data_dir: str | None = None
    check: tuple[str, ...] = ()
    """Looks at the configuration before a reload. Empty: a changed configuration needs a restart."""
    sandbox: tuple[str, ...] = OWN_START
    """Directives that widen the sandbox, for what it is there to see."""
    stop_s: int = 15


def credential(name: str) -> str:
    """Path of a credential as the unit sees it."""
    return f"{CREDENTIALS}/{name}"


def program_file(plan: Plan, program: Program) -> File:
    part = program.part
    run = run_of(plan, part, program.seen)
    values = {
        "description": f"{program.title} of the agent mesh {plan['mesh']['name']}",
        "user": program.user,
        "command": [_word(word) for word in run.command],
        "check": [_word(word) for word in program.check],
        "environment": [_quoted(f"{name}={value}") for name, value in sorted(run.environment.items())],
        "credentials": sorted(program.credentials.items()),
        "data_dir": program.data_dir,
        "memory_mb": part["memory_mb"],
        "stop_s": program.stop_s,
        "sandbox": program.sandbox,
    }
    return unit_file(part["unit"], "monitoring.service.j2", values)


def program_unit(program: Program) -> Unit:
    part = program.part
    address, port = reachable(part["bind"]), part["port"]
    ready = Readiness(url=f"http://{address}:{port}{READY[part['part']]}", timeout_s=READY_S)
    if part["tls"]:
        # It lets in nobody without the mesh's certificate, the host itself included.
        ready = Readiness(tcp=(address, port), timeout_s=READY_S)
    return Unit(
        name=part["unit"],
        files=(unit_path(part["unit"]), *sorted({*program.credentials.values(), *program.files})),
        ready=ready,
        reload=bool(program.check),
    )


def _word(text: str) -> str:
    """A word of a command line, where systemd takes `$` for a variable."""
    return _quoted(text.replace("$", "$$"))


def _quoted(text: str) -> str:
    """A text that systemd takes literally, but for the folder of the credentials."""
    return '"' + quoted(text).replace(f"%{CREDENTIALS}/", f"{CREDENTIALS}/") + '"'

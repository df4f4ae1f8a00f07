"""Supervisord's configuration as text: one file for the daemon, one per program."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass, field

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.process.layout import Layout
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError

LOG_BYTES = "10MB"
LOG_BACKUPS = 3
START_RETRIES = 5
LAUNCH = """\
import sys
sys.path.insert(0, {path!r})
sys.argv[0] = "supervisord"
from supervisor.supervisord import main
main()
"""


@dataclass(frozen=True)
class ProgramSpec:
    """One program. `environment` holds no secret, only the paths of files with secrets."""

    name: str
    argv: tuple[str, ...]
    directory: str
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_wait_s: int = 15


def program_text(layout: Layout, program: ProgramSpec) -> str:
    """The `[program:…]` section. Raises PlanError for a value that supervisord's format cannot carry."""
    lines = [
        f"[program:{program.name}]",
        f"command={_escape(shlex.join(program.argv))}",
        f"directory={_escape(program.directory)}",
        *([f"user={layout.user}"] if layout.own_user else []),
        f"environment={_environment(program)}",
        # A deploy starts programs in order; supervisord itself only keeps them running.
        "autostart=false",
        "autorestart=true",
        "startsecs=1",
        f"startretries={START_RETRIES}",
        f"stopsignal={program.stop_signal}",
        f"stopwaitsecs={program.stop_wait_s}",
        "redirect_stderr=true",
        f"stdout_logfile={_escape(log_file(layout, program.name))}",
        f"stdout_logfile_maxbytes={LOG_BYTES}",
        f"stdout_logfile_backups={LOG_BACKUPS}",
        "umask=077",
    ]
    return "\n".join(lines) + "\n"


def program_path(layout: Layout, name: str) -> str:
    return f"{layout.programs}/{name}.conf"


def program_file(layout: Layout, program: ProgramSpec) -> File:
    text = program_text(layout, program)
    return File(path=program_path(layout, program.name), text=text, owner=layout.root, group=layout.root, mode="0600")


def daemon_text(layout: Layout, identity: str) -> str:
    """supervisord.conf: a unix socket for its own user only, no network listener."""
    return f"""\
[unix_http_server]
file={_escape(layout.supervisor_socket)}
chmod=0700

[supervisord]
identifier={identity}
logfile={_escape(log_file(layout, "supervisord"))}
logfile_maxbytes={LOG_BYTES}
logfile_backups={LOG_BACKUPS}
loglevel=info
pidfile={_escape(pid_file(layout))}
directory=/
umask=022
nodaemon=false
nocleanup=true
{"user=root" if layout.own_user else ""}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files={_escape(layout.programs)}/*.conf
"""


def identity_of(layout: Layout) -> str:
    """Changes when supervisord must be replaced: another runtime, another interpreter, other settings of its own."""
    seen = json.dumps([daemon_text(layout, ""), launch_argv(layout)])
    return f"aimesh-{hashlib.sha256(seen.encode()).hexdigest()[:12]}"


def launch_argv(layout: Layout) -> list[str]:
    """Supervisord out of the runtime folder, with nothing installed into any Python."""
    code = LAUNCH.format(path=layout.runtime)
    return [layout.interpreter, "-I", "-B", "-c", code, "-c", layout.supervisor_config]


def description_text(layout: Layout) -> str:
    """`<run>/supervisor.json`, as module_utils/supervisor_daemon.py reads it."""
    description = {
        "argv": launch_argv(layout),
        "identity": identity_of(layout),
        "pid_file": pid_file(layout),
        "config": layout.supervisor_config,
        "runtime": layout.runtimes,
        "log": log_file(layout, "supervisord"),
    }
    return json.dumps(description, indent=1, sort_keys=True) + "\n"


def job_text(layout: Layout, argv: tuple[str, ...], environment: dict[str, str]) -> str:
    """A one-shot, as the `processes` module runs it: command, environment, user (null: whoever deploys)."""
    job = {"argv": list(argv), "environment": environment, "user": layout.owner or None}
    return json.dumps(job, indent=1, sort_keys=True) + "\n"


def log_file(layout: Layout, name: str) -> str:
    return f"{layout.logs}/{name}.log"


def pid_file(layout: Layout) -> str:
    return f"{layout.run}/supervisord.pid"


def _environment(program: ProgramSpec) -> str:
    parts = []
    for name, value in sorted(program.environment.items()):
        if '"' in value or "\\" in value:
            raise PlanError(
                f"The value of {name} for {program.name} holds a quote or a backslash: {value!r}; change it."
            )
        parts.append(f'{name}="{_escape(value)}"')
    return ",".join(parts)


def _escape(value: str) -> str:
    if "\n" in value or "\r" in value:
        raise PlanError(
            f"The value {value!r} spans lines, which the supervisor's configuration cannot carry; change it."
        )
    return value.replace("%", "%%")

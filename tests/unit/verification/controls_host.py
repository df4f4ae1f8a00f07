"""Negative controls of the checks of ports, processes and files."""

from __future__ import annotations

from control_kit import (
    Control,
    all_processes,
    answer_of,
    both,
    dropped,
    everywhere,
    extra,
    files,
    foreign_owner,
    into,
    listeners,
    missing_file,
    rewritten,
    secret_file_opened,
    state_opened,
    unit,
    without_port,
)
from healthy import Unable

CONTROLS = [
    Control("network.ports.open", "closed", listeners(without_port(3001)), "3001"),
    Control(
        "network.ports.open",
        "on another address",
        listeners(lambda rows: [r | {"address": "10.0.0.1"} if r["port"] == 6379 else r for r in rows]),
        "6379",
    ),
    Control("network.ports.closed", "one more", listeners(extra()), "9999"),
    Control(
        "network.ports.closed",
        "planned port, other address",
        listeners(extra(port=13001, unit=None, comm="nc")),
        "0.0.0.0:13001",
    ),
    Control(
        "network.ports.closed",
        "child of a service",
        listeners(extra(lineage=[77, 1000, 1], unit=None)),
        "9999",
        plan="local",
    ),
    Control("network.stores.private", "PostgreSQL for all", listeners(everywhere(5432)), "PostgreSQL"),
    Control("network.stores.private", "Redis for all", listeners(everywhere(6379)), "Redis"),
    Control(
        "process.{subject}.supervised",
        "stopped",
        unit("aimesh-registry@a", ActiveState="inactive", SubState="dead"),
        "inactive",
    ),
    Control(
        "process.{subject}.supervised",
        "redis stopped",
        unit("aimesh-redis", ActiveState="failed", SubState="failed"),
        "failed",
    ),
    Control(
        "process.{subject}.supervised",
        "exporter stopped",
        unit("aimesh-redis-exporter", ActiveState="inactive", SubState="dead"),
        "aimesh-redis-exporter is loaded, inactive",
    ),
    Control(
        "process.{subject}.owns_port",
        "another Prometheus",
        listeners(lambda rows: [r | {"lineage": [9, 1], "comm": "prom"} if r["port"] == 9090 else r for r in rows]),
        "port 9090 is held by prom",
    ),
    Control(
        "process.{subject}.supervised", "not enabled", unit("aimesh-registry@a", UnitFileState="disabled"), "reboot"
    ),
    Control("process.{subject}.supervised", "frozen", all_processes(state="T"), "frozen"),
    Control(
        "process.{subject}.supervised",
        "fatal",
        answer_of("supervisor", into("aimesh-registry@a", "state", value="FATAL")),
        "FATAL",
        plan="local",
    ),
    Control(
        "process.{subject}.supervised",
        "no supervisor",
        answer_of("supervisor", lambda _: Unable("supervisord is not running")),
        "not running",
        plan="local",
    ),
    Control("process.{subject}.steady", "restarted", unit("aimesh-registry@a", sample=2, MainPID="4711"), "4711"),
    Control(
        "process.{subject}.steady",
        "crash loop",
        both(unit("aimesh-registry@a", NRestarts="3"), all_processes(age=9.0)),
        "3 times",
    ),
    Control(
        "process.{subject}.steady",
        "restarted",
        answer_of("supervisor", into("aimesh-registry@a", "pid", value=4711), "'sample': 2"),
        "4711",
        plan="local",
    ),
    Control(
        "process.{subject}.owns_port",
        "a stranger",
        listeners(lambda rows: [r | {"lineage": [9, 1], "comm": "nc"} if r["port"] == 13001 else r for r in rows]),
        "nc",
    ),
    Control("process.{subject}.owns_port", "nobody", listeners(without_port(13001)), "nobody"),
    Control(
        "process.{subject}.current", "configuration changed since", files(rewritten), "after the process had started"
    ),
    Control("process.{subject}.recorded", "no record", answer_of("records", lambda r: r["units"].clear()), "no record"),
    Control("process.{subject}.unprivileged", "root", all_processes(user=0), "root"),
    Control("files.modes.planned", "missing", answer_of("files", missing_file, "'paths'"), "missing"),
    Control("files.modes.planned", "owner", files(foreign_owner), "nobody"),
    Control("files.modes.planned", "mode", files(secret_file_opened), "0644"),
    Control("files.secrets.private", "credential", files(secret_file_opened), "0644"),
    Control("files.secrets.private", "state", files(state_opened), "applied-plan"),
    Control(
        "files.secrets.absent",
        "in a log",
        answer_of("exposure", lambda a: a["files"].append({"secret": "admin_token", "path": "/var/log/x"})),
        "/var/log/x",
    ),
    Control("files.secrets.absent", "not searched for", answer_of("exposure", dropped("searched")), "not searched for"),
    Control(
        "secrets.processes.hidden",
        "environment",
        answer_of(
            "exposure",
            lambda a: a["processes"].append({"secret": "admin_token", "pid": 9, "comm": "mesh", "where": "environ"}),
        ),
        "environ of mesh",
    ),
    Control(
        "secrets.processes.hidden", "nothing read", answer_of("exposure", into("read", value=0)), "none could be read"
    ),
]

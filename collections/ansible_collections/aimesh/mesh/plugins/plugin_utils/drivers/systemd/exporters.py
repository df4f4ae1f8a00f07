"""Exporters: Debian's programs, each beside what it looks at, with no more rights than its look needs."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_files import credential_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import config, credential_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd.program import Program, credential
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import (
    PROGRAMS,
    Seen,
    redis_passwords,
    web_config,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.prometheus_config import blackbox_config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

CERTIFICATE = "metrics_tls"
WEB = "web.yml"
PASSWORD = "db_monitor_password"  # noqa: S105  # a secret's name
REDIS_LOGIN = "redis_monitor.json"
HOST_SIGHT = (
    "# It is there to see the whole host: its memory, its mounts, its clock. It can change none of them.",
    "ProcSubset=all",
    "ProtectProc=default",
    "ProtectHome=read-only",
    "ProtectClock=no",
    "SystemCallFilter=adjtimex clock_adjtime",
    "RestrictAddressFamilies=AF_NETLINK",
)
"""Reading the clock's state is one system call with setting it; without its capability nobody sets it."""


def node_exporter(plan: Plan, part: dict[str, Any]) -> tuple[Program, list[File]]:
    paths, files = _web(plan, part)
    seen = Seen(web=credential(WEB))
    return Program(part, "Exporter of the host", seen, credentials=paths, sandbox=HOST_SIGHT), files


def postgres_exporter(plan: Plan, part: dict[str, Any]) -> tuple[Program, list[File]]:
    paths, files = _web(plan, part)
    seen = Seen(credential=credential(PASSWORD), web=credential(WEB))
    paths = {PASSWORD: credential_path(plan, PASSWORD), **paths}
    return Program(part, "Exporter of PostgreSQL", seen, credentials=paths), [credential_file(plan, PASSWORD), *files]


def redis_exporter(plan: Plan, part: dict[str, Any]) -> tuple[Program, list[File]]:
    passwords = File(
        credential_path(plan, REDIS_LOGIN),
        inline=redis_passwords(plan, part["host"]),
        secrets=("redis_monitor_password",),
        mode="0600",
    )
    paths, files = {REDIS_LOGIN: passwords.path}, [passwords]
    if part["tls"]:
        paths[CERTIFICATE] = credential_path(plan, CERTIFICATE)
        files.append(_certificate(plan))
    seen = Seen(credential=credential(REDIS_LOGIN), certificate=credential(CERTIFICATE))
    return Program(part, "Exporter of Redis", seen, credentials=paths), files


def blackbox_exporter(plan: Plan, part: dict[str, Any]) -> tuple[Program, list[File]]:
    conf = config(plan, "monitoring", "blackbox.yml")
    look = (PROGRAMS[part["part"]], "--config.check")
    check = (*look, f"--config.file={conf}")
    program = Program(part, "Prober of the front door", Seen(config=conf), files=(conf,), check=check)
    return program, [File(conf, text=blackbox_config(plan), validate=(*look, "--config.file={path}"))]


def _web(plan: Plan, part: dict[str, Any]) -> tuple[dict[str, str], list[File]]:
    """Credentials and files with which an exporter lets in only who has the mesh's certificate."""
    if not part["tls"]:
        return {}, []
    # A name without a folder is looked up beside the file that names it.
    web = File(config(plan, "monitoring", WEB), text=web_config(CERTIFICATE))
    certificate = _certificate(plan)
    return {WEB: web.path, CERTIFICATE: certificate.path}, [web, certificate]


def _certificate(plan: Plan) -> File:
    path = credential_path(plan, CERTIFICATE)
    return File(path, inline="{{ secrets.metrics_tls | from_base64 }}", secrets=(CERTIFICATE,), mode="0600")

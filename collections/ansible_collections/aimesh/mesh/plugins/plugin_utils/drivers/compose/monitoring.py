"""What watches the mesh, in containers of one image: on every host what tells of it, on one also what asks and alerts.

A container mounts the folder with its own configuration, not the files in it: a mounted file stays the old one when a
new one takes its name, and Prometheus, Alertmanager and the alert receiver read theirs again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.layout import (
    MONITORING,
    MONITORING_ID,
    base_path,
    container,
    networks,
    part_path,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.service import Mount, Service, service_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose.validation import CANDIDATE, validation
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import READY_S, config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.part import Part
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, Readiness, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring import alert_receiver
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.alertmanager import alertmanager_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import (
    HOST_COLLECTORS,
    PROGRAMS,
    READY,
    RELOADING,
    TEXTFILES,
    Seen,
    redis_passwords,
    run_of,
    web_config,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.prometheus_config import (
    Paths,
    blackbox_config,
    prometheus_config,
    target_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import jobs, parts_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import ANY_ADDRESS, Plan

CERTIFICATE, WEB = "metrics_tls.pem", "web.yml"
OWNER_ONLY = "0400"
NO_MOUNTS = "^/(dev|proc|run|sys|tmp|etc/(hostname|hosts|resolv[.]conf))($|/)"
"""What the engine puts into every container tells nothing about the host's disks."""


@dataclass(frozen=True)
class Own:
    """What a part has of its own. `files` it loads; `watched` are files that it reads again whenever they change."""

    seen: Seen
    files: tuple[File, ...] = ()
    watched: tuple[File, ...] = ()
    mounts: tuple[Mount, ...] = ()
    """Besides its folder and its data."""
    calls_out: bool = False
    """It calls what is not on its host's own network."""


def render(plan: Plan, host: str) -> Part:
    parts = parts_on(plan, host)
    made = [(part, OWN[part["part"]](plan, part)) for part in parts]
    folders = (config(plan, "monitoring"), *(_folder(plan, part["part"]) for part in parts))
    data = [folder for part in parts if (folder := _data_dir(plan, part["part"]))]
    return Part(
        directories=(
            *(Directory(path, group=MONITORING_ID, mode="0750") for path in folders),
            Directory(TEXTFILES, keep=True),
            *(Directory(path, owner=MONITORING_ID, group=MONITORING_ID, mode="0750", keep=True) for path in data),
        ),
        files=tuple(
            file
            for part, own in made
            for file in (*own.watched, *own.files, *_tls_files(plan, part), _service_file(plan, part, own))
        ),
        units=tuple(_unit(plan, part, own) for part, own in made),
    )


def _folder(plan: Plan, name: str) -> str:
    """Folder with a part's configuration, the same on the host and in the container."""
    return config(plan, name) if name in RELOADING else config(plan, "monitoring", name)


def _data_dir(plan: Plan, name: str) -> str:
    return str(plan["monitoring"]["data_dirs"].get(name, ""))


def _service_file(plan: Plan, part: dict[str, Any], own: Own) -> File:
    name, published, data = part["part"], part["published"], _data_dir(plan, part["part"])
    # A published port reaches the container at another address than that of the mesh's own network.
    run = run_of(plan, part, own.seen, bind=ANY_ADDRESS if published else "")
    folder = _folder(plan, name)
    return service_file(
        plan,
        part_path(plan, name),
        Service(
            name=name,
            image=MONITORING,
            user=MONITORING_ID,
            command=run.command,
            memory_mb=part["memory_mb"],
            networks=networks(published, calls_out=own.calls_out),
            address=part["bind"],
            ports=((published, part["port"]),) if published else (),
            environment=run.environment,
            mounts=(Mount(folder, folder), *((Mount(data, data, writable=True),) if data else ()), *own.mounts),
            health=_health(part),
        ),
    )


def _unit(plan: Plan, part: dict[str, Any], own: Own) -> Unit:
    name, path = part["part"], part_path(plan, part["part"])
    loaded = (*own.files, *_tls_files(plan, part))
    address = (part["bind"], part["port"])
    url = f"http://{part['bind']}:{part['port']}{READY[name]}"
    return Unit(
        name=part["unit"],
        files=(base_path(plan), path, *(file.path for file in loaded)),
        # What asks for a certificate cannot be asked for more than to be there.
        ready=Readiness(tcp=address, timeout_s=READY_S) if part["tls"] else Readiness(url=url, timeout_s=READY_S),
        reload=name in RELOADING,
        container=container(plan, name, path),
    )


def _health(part: dict[str, Any]) -> tuple[str, ...]:
    """The image has no curl, and bash opens a connection in a thousandth of a second."""
    open_port = f"exec 3<>/dev/tcp/{part['bind']}/{part['port']}"
    ask = f"printf 'GET {READY[part['part']]} HTTP/1.0\\r\\n\\r\\n' >&3; read -r line <&3; [[ $line == *' 200 '* ]]"
    return ("CMD", "/bin/bash", "-c", open_port if part["tls"] else f"{open_port} && {{ {ask}; }}")


def _secret_file(path: str, inline: str, *secrets: str) -> File:
    return File(path, inline=inline, secrets=secrets, owner=MONITORING_ID, group=MONITORING_ID, mode=OWNER_ONLY)


def _certificate(folder: str) -> File:
    return _secret_file(f"{folder}/{CERTIFICATE}", "{{ secrets.metrics_tls | from_base64 }}", "metrics_tls")


def _tls_files(plan: Plan, part: dict[str, Any]) -> tuple[File, ...]:
    """What a part needs that lets in only who has the mesh's certificate."""
    if not part["tls"]:
        return ()
    folder = _folder(plan, part["part"])
    certificate = _certificate(folder)
    if part["part"] == "redis-exporter":
        return (certificate,)
    return (certificate, File(f"{folder}/{WEB}", text=web_config(certificate.path)))


def _seen(plan: Plan, part: dict[str, Any], **more: Any) -> Seen:
    folder = _folder(plan, part["part"])
    return Seen(
        data=_data_dir(plan, part["part"]), certificate=f"{folder}/{CERTIFICATE}", web=f"{folder}/{WEB}", **more
    )


def _prometheus(plan: Plan, part: dict[str, Any]) -> Own:
    folder = _folder(plan, part["part"])
    rules, targets = f"{folder}/rules.yml", f"{folder}/targets"
    certificate = _certificate(folder)
    conf = f"{folder}/prometheus.yml"
    paths = Paths(rules=(rules,), targets=targets, certificate=certificate.path)
    check = _check(plan, ("promtool", "check", "config", "--syntax-only", CANDIDATE))
    check_rules = _check(plan, ("promtool", "check", "rules", CANDIDATE))
    targets_elsewhere = any(
        target.labels["host"] != part["host"] for job in jobs(plan) if not job.is_probe for target in job.targets
    )
    return Own(
        _seen(plan, part, config=conf),
        files=(
            File(rules, text=rule_file(plan), validate=check_rules),
            *((certificate,) if any(job.tls for job in jobs(plan)) else ()),
            File(conf, text=prometheus_config(plan, paths), validate=check),
        ),
        watched=tuple(File(path, text=text) for path, text in target_files(plan, targets).items()),
        calls_out=targets_elsewhere,
    )


def _alertmanager(plan: Plan, part: dict[str, Any]) -> Own:
    check = _check(plan, ("amtool", "check-config", CANDIDATE), folders=(_folder(plan, part["part"]),))
    files = alertmanager_files(plan, group=MONITORING_ID, validate=check)
    return Own(
        _seen(plan, part, config=files[-1].path), files, calls_out=bool(plan["monitoring"]["alerting"]["receivers"])
    )


def _blackbox(plan: Plan, part: dict[str, Any]) -> Own:
    conf = f"{_folder(plan, part['part'])}/blackbox.yml"
    check = _check(plan, (PROGRAMS["blackbox-exporter"], "--config.check", f"--config.file={CANDIDATE}"))
    probes = [target for job in jobs(plan) if job.is_probe for target in job.targets]
    return Own(
        _seen(plan, part, config=conf),
        files=(File(conf, text=blackbox_config(plan), validate=check),),
        calls_out=any(target.labels["host"] != part["host"] for target in probes),
    )


def _alert_receiver(plan: Plan, part: dict[str, Any]) -> Own:
    folder = _folder(plan, part["part"])
    script = File(f"{folder}/alert_receiver.py", text=Path(alert_receiver.__file__).read_text(encoding="utf-8"))
    token = _secret_file(f"{folder}/token", "{{ secrets.alert_token }}", "alert_token")
    return Own(_seen(plan, part, script=script.path, credential=token.path), files=(script, token))


def _node_exporter(plan: Plan, part: dict[str, Any]) -> Own:
    """It sees the host's processors, memory and disks in what the kernel shows every container.

    Of file systems it sees those that hold what the mesh keeps, by folders that its account may not enter, that of the
    mesh's configuration, and, as its own root, that of the images. Of the network it sees its own only.
    """
    return Own(
        _seen(plan, part, collectors=HOST_COLLECTORS, no_mounts=NO_MOUNTS),
        mounts=tuple(Mount(path, path) for path in _kept_on(plan, part["host"])),
    )


def _kept_on(plan: Plan, host: str) -> list[str]:
    """Folders on a host that hold what the mesh keeps."""
    stores = [plan[name]["data_dir"] for name in ("postgresql", "redis") if plan[name]["host"] == host]
    parts = [folder for part in parts_on(plan, host) if (folder := _data_dir(plan, part["part"]))]
    return [str(plan["mesh"]["paths"]["state"]), TEXTFILES, *stores, *parts]


def _postgres_exporter(plan: Plan, part: dict[str, Any]) -> Own:
    path = f"{_folder(plan, part['part'])}/password"
    password = _secret_file(path, "{{ secrets.db_monitor_password }}", "db_monitor_password")
    return Own(_seen(plan, part, credential=path), files=(password,))


def _redis_exporter(plan: Plan, part: dict[str, Any]) -> Own:
    path = f"{_folder(plan, part['part'])}/passwords.json"
    passwords = _secret_file(path, redis_passwords(plan, part["host"]), "redis_monitor_password")
    return Own(_seen(plan, part, credential=path), files=(passwords,))


def _check(plan: Plan, command: tuple[str, ...], folders: tuple[str, ...] = ()) -> tuple[str, ...]:
    return validation(plan, MONITORING, MONITORING_ID, command, folders=folders)


OWN: dict[str, Callable[[Plan, dict[str, Any]], Own]] = {
    "node-exporter": _node_exporter,
    "postgres-exporter": _postgres_exporter,
    "redis-exporter": _redis_exporter,
    "blackbox-exporter": _blackbox,
    "alert-receiver": _alert_receiver,
    "alertmanager": _alertmanager,
    "prometheus": _prometheus,
}

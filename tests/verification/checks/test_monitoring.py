"""Prometheus runs as planned, asks everything that the plan names, and is reached by nobody else."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import PREFIX, job_names, parts_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.certificate import SERVER_NAME
from vocabulary.check import Target, check
from vocabulary.host import ANY_ADDRESSES
from vocabulary.mesh import Mesh
from vocabulary.outcome import NotApplicableError, require, require_none
from vocabulary.targets import each_host
from vocabulary.watching import (
    KEY_METRICS,
    SIGNS,
    discovered_targets,
    known_targets,
    mebibytes,
    monitoring_host,
    not_loaded,
    part,
    planned_targets,
    seconds,
    watched,
)

DAY_S = 86400


@check(
    "monitoring.prometheus.ready", "Prometheus is ready",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_prometheus_is_ready(mesh: Mesh, target: Target) -> None:
    watched(mesh)
    part(mesh, target, "prometheus")


@check(
    "monitoring.prometheus.configured", "Prometheus has loaded its configuration, with every planned job",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_prometheus_loaded_the_plan(mesh: Mesh, target: Target) -> None:
    monitoring, seen = watched(mesh), part(mesh, target, "prometheus")
    require("last reload of the configuration succeeded", seen["reload_ok"], True)
    wanted = job_names(mesh.plan)
    wrong = [f"no job {name}" for name in wanted if name not in seen["jobs"]]
    wrong += [f"job {name}, which the plan does not have" for name in seen["jobs"] if name not in wanted]
    for name in ("scrape_interval", "evaluation_interval"):
        found = seen["intervals"].get(name)
        if seconds(found) != monitoring[f"{name}_s"]:
            wrong.append(f"{name} {found} instead of {monitoring[f'{name}_s']} s")
    wrong += not_loaded(mesh, target, "prometheus", seen["loaded"])
    require_none(wrong, f"{len(wanted)} planned jobs and no other, at the planned intervals")


@check(
    "monitoring.prometheus.retention", "Prometheus keeps its data as long as planned, and in no more space",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_retention_is_the_planned_one(mesh: Mesh, target: Target) -> None:
    monitoring, kept = watched(mesh), part(mesh, target, "prometheus")["retention"]
    wrong = []
    if seconds(kept["time"]) != monitoring["retention_days"] * DAY_S:
        wrong.append(f"retention by time is {kept['time']}")
    if mebibytes(kept["size"]) != monitoring["retention_mb"]:
        wrong.append(f"retention by size is {kept['size']}")
    require_none(wrong, f"{monitoring['retention_days']} d and {monitoring['retention_mb']} MiB")


@check(
    "monitoring.targets.up", "Prometheus reaches everything that the plan names",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_every_planned_target_is_up(mesh: Mesh, target: Target) -> None:
    watched(mesh)
    seen = {(row["job"], row["instance"]): row for row in part(mesh, target, "prometheus")["targets"]}
    planned, known, discovered = planned_targets(mesh), known_targets(mesh), discovered_targets(mesh)
    wrong = [f"{name} of job {job} is not among the targets" for job, name in sorted(planned - set(seen))]
    found = {key for key in seen if key[0] in discovered}
    for job, name in sorted((planned & set(seen)) | found, key=str):
        row = seen[job, name]
        if row["health"] != "up":
            wrong.append(f"{name} of job {job} is {row['health']}{': ' if row['error'] else ''}{row['error']}")
    wrong += [f"{name} of job {job} is not of the plan" for job, name in sorted(set(seen) - known - found, key=str)]
    for job, (least, most) in discovered.items():
        count = sum(1 for key in found if key[0] == job)
        if not least <= count <= most:
            wrong.append(f"{count} targets of job {job} instead of {least if least == most else f'{least} to {most}'}")
    total = len(planned) + sum(least for least, _ in discovered.values())
    require_none(wrong, f"{total} planned targets up, and no unknown one")


@check(
    "monitoring.exporters.working", "Exporters reach what they watch, and probes of the public endpoints succeed",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_exporters_reach_what_they_watch(mesh: Mesh, target: Target) -> None:
    watched(mesh)
    seen = part(mesh, target, "prometheus")["signs"]
    by_part = {name: {each for job, each in planned_targets(mesh) if job == job_of(name)} for name in SIGNS}
    wrong = []
    for name, (query, words) in SIGNS.items():
        values = {row.get("instance"): row["value"] for row in seen[name]}
        for instance in sorted(by_part[name]):
            if values.get(instance) != "1":
                found = values.get(instance, "no sample")
                wrong.append(f"not so: {words.format(instance=instance)} ({query.partition('{')[0]}: {found})")
    require_none(wrong, "probes succeed, and exporters reach PostgreSQL and Redis")


@check(
    "monitoring.metrics.present", "The five key metrics have series of every service",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_key_metrics_have_series_of_every_service(mesh: Mesh, target: Target) -> None:
    watched(mesh)
    series = part(mesh, target, "prometheus")["series"]
    wrong = []
    for metric in KEY_METRICS:
        jobs = {row.get("job") for row in series[metric]}
        missing = [service for service in mesh.plan["services"] if f"{PREFIX}{service}" not in jobs]
        wrong += [f"no {metric} of {', '.join(missing)}"] if missing else []
    require_none(wrong, f"{len(KEY_METRICS)} metrics of {len(mesh.plan['services'])} services")


@check(
    "monitoring.listeners.private", "Prometheus, Alertmanager and exporters listen on their planned addresses alone",
    targets=each_host, capability="monitoring", hint="network",
)  # fmt: skip
def test_nothing_of_monitoring_is_public(mesh: Mesh, target: Target) -> None:
    watched(mesh)
    parts = {each["port"]: each for each in parts_on(mesh.plan, target.host)}
    outside = [row for row in mesh.host(target.host).listeners() if not row.get("inside")]
    rows = [row for row in outside if row["port"] in parts]
    require_none(
        [
            f"{parts[row['port']]['part']} listens on {row['address']}:{row['port']}"
            for row in rows
            if row["address"] in ANY_ADDRESSES or row["address"] not in allowed(parts[row["port"]])
        ],
        "no listener of monitoring on another address than the plan's",
    )


@check(
    "monitoring.exporters.closed", "What leaves its host answers nobody without the mesh's certificate",
    targets=each_host, capability="monitoring", hint="network",
)  # fmt: skip
def test_exporters_are_closed_to_strangers(mesh: Mesh, target: Target) -> None:
    watched(mesh)
    parts = [each for each in parts_on(mesh.plan, target.host) if each["tls"]]
    if not parts:
        raise NotApplicableError("no exporter of this host is asked from another one")
    wrong: list[str] = []
    for each in parts:
        wrong += strangers_of(mesh, target, each)
    require_none(wrong, "answers to the mesh's certificate, and to nobody else")


def strangers_of(mesh: Mesh, target: Target, exporter: dict[str, Any]) -> list[str]:
    address, _, port = exporter["address"].rpartition(":")
    name = exporter["part"]
    seen = mesh.host(target.host).tls(
        host=address, port=int(port), path="/metrics", server_name=SERVER_NAME, certificate="metrics_tls"
    )
    wrong = [f"{name} answers {who}" for how, who in STRANGERS.items() if answered(seen[how])]
    return wrong + ([] if seen["member"] == 200 else [f"{name} answers the mesh's certificate with {seen['member']}"])


STRANGERS = {"stranger": "a client without a certificate", "plain": "a client without TLS"}


def answered(status: object) -> bool:
    """A number is the status of an answer, words say why there was none."""
    return isinstance(status, int) and status < 400


def allowed(each: dict[str, Any]) -> list[str]:
    """Addresses of the host; a container's own address is inside of it."""
    return [str(each["published"])] if each.get("published") else [str(each["bind"])]


def job_of(name: str) -> str:
    return SIGNS[name][0].partition('job="')[2].rstrip('"}')

"""What watches the mesh by the plan, and the one look at it that all checks of monitoring share."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.routes import HEARTBEAT_REPEAT_S, LEDGER_WAIT_S
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import PREFIX, PROBE, jobs, part_of

from vocabulary.check import Target
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, NotApplicableError

Look = dict[str, Any]

KEY_METRICS = (
    "ai_mesh_requests_total",
    "ai_mesh_errors_total",
    "ai_mesh_latency_seconds_bucket",
    "ai_mesh_agents_total",
    "ai_mesh_policy_violations_total",
)
"""Section 7.2 of the playbook."""
SIGNS = {
    "blackbox-exporter": (f'probe_success{{job="{PROBE}"}}', "probe of {instance} succeeds"),
    "postgres-exporter": (f'pg_up{{job="{PREFIX}postgresql"}}', "{instance} reaches PostgreSQL"),
    "redis-exporter": (f'redis_up{{job="{PREFIX}redis"}}', "{instance} reaches Redis"),
}
"""Exporter → what is 1 while it can do its work, and in words."""
DISCOVERY_S = 20
"""Until Prometheus asks the targets of a changed file, and the longest that one may take to answer."""
FORGETS_S = 40
"""A cluster's DNS names a pod that has ended for up to 30 s more, and Prometheus asks it every 10 s:
https://coredns.io/plugins/cache"""
RESEND_S = 60
"""Prometheus's --rules.alert.resend-delay. What fires before it knows an Alertmanager is sent so much later:
https://github.com/prometheus/prometheus/issues/10457"""
SLACK_S = 20
CLOCK_S = 2.0
WATCHDOG_AGE_S = 1.5 * HEARTBEAT_REPEAT_S + 60
"""A Watchdog that came longer ago is overdue."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)i?B")


def watched(mesh: Mesh) -> dict[str, Any]:
    """The plan's monitoring. Raises NotApplicableError where nothing watches the mesh."""
    monitoring: dict[str, Any] | None = mesh.plan.get("monitoring")
    if monitoring is None:
        raise NotApplicableError("nothing watches this mesh: the group mesh_monitoring has no host")
    return monitoring


def monitoring_host(mesh: Mesh) -> list[Target]:
    """The host of Prometheus; Run puts the mesh as a whole in its place where there is none."""
    return [Target(watched(mesh)["host"], "monitoring", unit=part_of(mesh.plan, "prometheus")["unit"])]


def look(mesh: Mesh, target: Target) -> Look:
    """Prometheus, Alertmanager and alert receiver as one question, as `answer_monitoring` tells."""
    monitoring = watched(mesh)
    interval = monitoring["evaluation_interval_s"]
    discovered = discovered_targets(mesh)
    settle_s = max(monitoring["scrape_interval_s"], interval) + DISCOVERY_S + (FORGETS_S if discovered else 0)
    due_s = 2 * interval + RESEND_S + LEDGER_WAIT_S + SLACK_S
    question = {
        "prometheus": url_of(mesh, "prometheus"),
        "alertmanager": url_of(mesh, "alertmanager"),
        "receiver": url_of(mesh, "alert-receiver"),
        "token": "alert_token",
        "targets": sorted(instance for _, instance in planned_targets(mesh)),
        "discovered": {job: list(bounds) for job, bounds in discovered.items()},
        "spares": sorted(instance for _, instance in known_targets(mesh) - planned_targets(mesh)),
        "queries": {name: f"count by (job) ({name})" for name in KEY_METRICS},
        "signs": {part: query for part, (query, _) in SIGNS.items()},
        "settle_s": settle_s,
        "watchdog": {"age_s": WATCHDOG_AGE_S, "due_s": due_s},
        "step_timeout": mesh.probe_timeout,
        "timeout": settle_s + due_s + 10 * mesh.probe_timeout,
    }
    return mesh.host(target.host).monitoring(question)


def part(mesh: Mesh, target: Target, name: str) -> Look:
    """What one part told. Raises MismatchError when it gave no answer."""
    seen: Look = look(mesh, target)[name]
    if "error" in seen:
        raise MismatchError(expected=f"an answer of {TITLES[name]}", actual=f"{TITLES[name]}: {seen['error']}")
    return seen


TITLES = {"prometheus": "Prometheus", "alertmanager": "Alertmanager", "receiver": "alert receiver"}


def not_loaded(mesh: Mesh, target: Target, name: str, loaded: float) -> list[str]:
    """Files of a part that were changed after it had read them last, in words."""
    unit = part_of(mesh.plan, name)["unit"]
    paths = [path for each in mesh.units(target.host) if each.name == unit for path in each.files]
    host = mesh.host(target.host)
    return [f"{path} was changed after it was loaded" for path in paths if host.file(path).changed > loaded + CLOCK_S]


def url_of(mesh: Mesh, name: str) -> str:
    """Where a part of the monitoring host listens, as that host reaches it."""
    found = part_of(mesh.plan, name)
    return f"http://{found['bind']}:{found['port']}"


def planned_targets(mesh: Mesh) -> set[tuple[str, str]]:
    """(job, instance) of everything that has to answer; spares run only during updates."""
    return {
        (job.name, target.labels["instance"])
        for job in jobs(mesh.plan)
        for target in job.targets
        if target.labels.get("planned") != "no"
    }


def discovered_targets(mesh: Mesh) -> dict[str, tuple[int, int]]:
    """Job → the least and the most targets that Prometheus has to find itself; their names come with them."""
    return {job.name: (job.discovery.least, job.discovery.most) for job in jobs(mesh.plan) if job.discovery}


def known_targets(mesh: Mesh) -> set[tuple[str, str]]:
    """The same with the spares."""
    return {(job.name, target.labels["instance"]) for job in jobs(mesh.plan) for target in job.targets}


def seconds(text: object) -> float | None:
    """`1m30s` → 90; None for what is no duration of Prometheus."""
    found = _DURATION.findall(str(text))
    whole = "".join(number + unit for number, unit in found) == str(text)
    return sum(float(number) * _SECONDS[unit] for number, unit in found) if found and whole else None


def mebibytes(text: object) -> float | None:
    """`4GiB` → 4096; Prometheus counts in powers of two whatever it writes."""
    found = _SIZE.findall(str(text))
    return (
        sum(float(number) * 1024 ** " KMGTP".index(unit or " ") for number, unit in found) / 1024**2 if found else None
    )

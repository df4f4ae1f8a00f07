"""Alerts are raised, go where the plan says, and really arrive."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import yaml
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.prometheus_probe import is_critical
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.receivers import LEDGER, all_receivers
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.routes import route_tree
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_groups
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.burn_rates import BURNS
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.services import ERROR_WINDOW, HIGH_ERROR_RATE
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import part_of
from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, NotApplicableError, require, require_none
from vocabulary.targets import whole_mesh
from vocabulary.watching import WATCHDOG_AGE_S, Look, look, monitoring_host, not_loaded, part, seconds, watched

LATE_S = 15
"""A rule is evaluated at each interval of its group; three missed ones and this are too many."""
DAY_S = 86400
MATCHER = re.compile(r'^\s*(\w+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")\s*$')
LOOKS_BACK_S = {
    HIGH_ERROR_RATE: seconds(ERROR_WINDOW) or 0.0,
    **{burn.name: seconds(burn.short) or 0.0 for burn in BURNS},
}
"""How long after an outage an alert of the share of errors goes on firing."""
TIMES = ("group_wait", "group_interval", "repeat_interval")


@check(
    "monitoring.rules.loaded", "Every planned rule is loaded, well, and evaluated",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_every_planned_rule_is_evaluated(mesh: Mesh, target: Target) -> None:
    watched(mesh)
    seen = part(mesh, target, "prometheus")
    rows, now = seen["rules"], seen["rules_read"]
    groups = rule_groups(mesh.plan)["groups"]
    planned = Counter(rule.get("alert") or rule["record"] for group in groups for rule in group["rules"])
    loaded = Counter(row["name"] for row in rows)
    wrong = [f"{name} is not loaded" for name in planned if not loaded[name]]
    wrong += [
        f"{name} is loaded {loaded[name]} times, not {n}" for name, n in planned.items() if loaded[name] not in (0, n)
    ]
    wrong += [f"{name} is not of the plan" for name in loaded if name not in planned]
    for row in rows:
        if row["health"] != "ok":
            wrong.append(f"{row['name']} is {row['health']}{': ' if row['error'] else ''}{row['error']}")
        elif now - row["evaluated"] > 3 * row["interval"] + LATE_S:
            wrong.append(f"{row['name']} was evaluated {now - row['evaluated']:.0f} s ago")
    require_none(wrong, f"{planned.total()} rules, each evaluated without an error")


@check(
    "monitoring.alertmanager.ready", "Alertmanager is ready",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_alertmanager_is_ready(mesh: Mesh, target: Target) -> None:
    watched(mesh)
    part(mesh, target, "alertmanager")


@check(
    "monitoring.alertmanager.configured", "Alertmanager has the planned receivers and routes, and Prometheus knows it",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_alertmanager_has_the_planned_routes(mesh: Mesh, target: Target) -> None:
    alerting, seen = watched(mesh)["alerting"], part(mesh, target, "alertmanager")
    require("last reload of the configuration succeeded", seen["reload_ok"], True)
    planned = [each["name"] for each in all_receivers(mesh.plan, "")]
    wrong = [f"no receiver {name}" for name in planned if name not in seen["receivers"]]
    wrong += [f"receiver {name}, which the plan does not have" for name in seen["receivers"] if name not in planned]
    wrong += differences(route_tree(alerting), routes_of(seen), "the first route")
    wrong += not_loaded(mesh, target, "alertmanager", seen["loaded"])
    known = part(mesh, target, "prometheus")["alertmanagers"]
    address = part_of(mesh.plan, "alertmanager")["address"]
    if not any(str(url).startswith(f"http://{address}/") for url in known):
        wrong.append(f"Prometheus sends alerts to {', '.join(map(str, known)) or 'nobody'}")
    require_none(wrong, f"{len(planned)} planned receivers, the planned routes, and Prometheus sending to {address}")


@check(
    "monitoring.delivery.alive", "Alerts arrive: the Watchdog keeps coming through the real route",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_the_watchdog_keeps_arriving(mesh: Mesh, target: Target) -> None:
    watched(mesh)
    seen = look(mesh, target)
    received = seen["receiver"].get("watchdog")
    if received is not None and seen["at"] - received <= WATCHDOG_AGE_S:
        return
    told = f"it came {seen['at'] - received:.0f} s ago" if received is not None else "it has never come"
    raise MismatchError(
        expected=f"a Watchdog within the last {WATCHDOG_AGE_S:g} s", actual=f"{broken_hop(seen)} (Watchdog: {told})"
        if "error" not in seen["receiver"] else broken_hop(seen),
    )  # fmt: skip


@check(
    "monitoring.alerts.quiet", "No critical alert of the mesh is firing",
    targets=monitoring_host, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_no_critical_alert_is_firing(mesh: Mesh, target: Target) -> None:
    watched(mesh)
    rows = [row for row in part(mesh, target, "prometheus")["alerts"] if is_critical(row)]
    past = [row for row in rows if row.get("alertname") in LOOKS_BACK_S]
    since = since_restore_s(mesh) if past else None
    if since is not None:
        rows = [row for row in rows if row not in past or since > LOOKS_BACK_S[row["alertname"]]]
    require_none(
        [described(row) for row in rows],
        "no critical alert, but those of a drill, and of the errors of an outage before a restore just now",
    )


@check(
    "monitoring.drill.recent", "The last alert drill passed, and is not long ago",
    targets=whole_mesh, capability="monitoring", hint="monitoring",
)  # fmt: skip
def test_the_last_alert_drill_passed(mesh: Mesh, target: Target) -> None:
    limit = watched(mesh)["thresholds"]["drill_age_days"]
    seen = mesh.host(target.host).drills()
    drill = seen["alerts"]
    if drill is None:
        raise NotApplicableError(
            "no alert drill was held yet, so nothing is proven: playbooks/drill.yml -e mesh_drill=alerts"
        )
    wrong = [] if drill.get("verdict") == "pass" else [f"{drill.get('verdict')}: {drill.get('message')}"]
    finished = drill.get("finished")
    if not isinstance(finished, (int, float)):
        wrong.append("the drill has no end")
    elif seen["at"] - finished > limit * DAY_S:
        wrong.append(f"the last drill was {(seen['at'] - finished) / DAY_S:.0f} days ago")
    require_none(wrong, f"a passed drill within the last {limit} days")


def broken_hop(seen: Look) -> str:
    """The first hop at which the Watchdog is missing, in the order in which an alert goes."""
    prometheus, alertmanager, receiver = seen["prometheus"], seen["alertmanager"], seen["receiver"]
    if "error" in prometheus:
        return f"Prometheus: {prometheus['error']}"
    if not any(row.get("alertname") == "Watchdog" for row in prometheus["alerts"]):
        return "Prometheus: no Watchdog is firing"
    if "error" in alertmanager:
        return f"Alertmanager: {alertmanager['error']}"
    arrived = [row for row in alertmanager["alerts"] if row.get("alertname") == "Watchdog"]
    if not arrived:
        return (
            f"Alertmanager: has no Watchdog; Prometheus sends to {', '.join(prometheus['alertmanagers']) or 'nobody'}"
        )
    if not any(row["state"] == "active" for row in arrived):
        return f"Alertmanager: the Watchdog is {arrived[0]['state']}"
    receivers = sorted({name for row in arrived for name in row["receivers"]})
    if LEDGER not in receivers:
        return f"route: Alertmanager tells {', '.join(receivers)} of the Watchdog, and not {LEDGER}"
    if "error" in receiver:
        return f"alert receiver: {receiver['error']}"
    failed = f"{alertmanager['failed'] or 0:g} failed requests"
    return f"alert receiver: gets no Watchdog from Alertmanager, which counts {failed}"


def routes_of(seen: Look) -> dict[str, Any]:
    try:
        return dict(yaml.safe_load(seen["route"])["route"])
    except (yaml.YAMLError, TypeError, KeyError, ValueError):
        return {}


def differences(planned: dict[str, Any], found: dict[str, Any], where: str) -> list[str]:
    """What Alertmanager's route has otherwise than the plan's, in words, with all its subordinate routes."""
    wrong = []
    for name in ("receiver", "matchers", "continue", "group_by", *TIMES):
        pair = [comparable(name, each.get(name)) for each in (planned, found)]
        if pair[0] != pair[1]:
            wrong.append(f"{where} has {name} {found.get(name)!r} instead of {planned.get(name)!r}")
    below = [each.get("routes") or [] for each in (planned, found)]
    if len(below[0]) != len(below[1]):
        wrong.append(f"{where} has {len(below[1])} routes below it instead of {len(below[0])}")
    for at, pair in enumerate(zip(*below, strict=False), 1):
        wrong += differences(*pair, f"route {at} ({pair[0]['receiver']})")
    return wrong


def comparable(name: str, value: Any) -> Any:
    """A setting of a route whatever way it is written."""
    if name == "matchers":
        return sorted(matcher(str(each)) for each in value or [])
    if name in TIMES:
        return None if value is None else seconds(value)
    return bool(value) if name == "continue" else value or None


def matcher(text: str) -> tuple[str, ...]:
    found = MATCHER.match(text)
    return (text,) if found is None else (found[1], found[2], json.loads(found[3]))


def since_restore_s(mesh: Mesh) -> float | None:
    """How long ago the database was restored, in seconds; None when it never was."""
    host = mesh.plan["backup"]["host"]
    seen = mesh.host(host).drills() if host else {}
    return seen["at"] - seen["restored"] if seen.get("restored") else None


def described(row: dict[str, Any]) -> str:
    about = [row[name] for name in ("service", "instance", "host") if row.get(name)]
    return f"{row.get('alertname')}{' of ' if about else ''}{about[0] if about else ''}"

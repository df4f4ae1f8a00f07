"""How a test of a rule is written: series, a time, and what there is to see then."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import UNITS_MS

Series = dict[str, str]
"""Series as PromQL names it → values in promtool's notation (`0+15x40`, `_`, `stale`)."""
Labels = dict[str, str]

MESH = {"mesh": "acme"}
TARGETS = {
    "node": {"job": "aimesh-node", "instance": "node-exporter@vm1", "service": "host"},
    "postgresql": {"job": "aimesh-postgresql", "instance": "postgres-exporter@vm1", "service": "postgresql"},
    "redis": {"job": "aimesh-redis", "instance": "redis-exporter@vm1", "service": "redis"},
    "blackbox": {"job": "aimesh-blackbox", "instance": "blackbox-exporter@vm1", "service": "monitoring"},
    "prometheus": {"job": "aimesh-prometheus", "instance": "prometheus@vm1", "service": "monitoring"},
    "alertmanager": {"job": "aimesh-alertmanager", "instance": "alertmanager@vm1", "service": "monitoring"},
    "alert-receiver": {"job": "aimesh-alert-receiver", "instance": "alert-receiver@vm1", "service": "monitoring"},
    "probe": {"job": "aimesh-probe", "instance": "https://192.0.2.10:3005/health/ready", "service": "ui"},
}


@dataclass(frozen=True)
class Fires:
    """An alert as Alertmanager gets it, without `alertname` and `runbook_url`, which follow from its name."""

    labels: Labels
    summary: str
    description: str


@dataclass(frozen=True)
class Case:
    """One claim about one rule. `fires` for an alert, `values` for a recording; neither: there is nothing.

    step: time between two values of a series. fade: how long after its last value an alert may go on.
    not_yet: when what makes it fire is there, but not for long enough. every: how often rules are evaluated.
    """

    rule: str
    says: str
    series: Series
    at: str
    fires: tuple[Fires, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    step: str = "15s"
    fade: str = "2h"
    not_yet: str = ""
    every: str = "15s"

    @property
    def is_positive(self) -> bool:
        return bool(self.fires or self.values)


def fires(labels: Labels, summary: str, description: str) -> tuple[Fires, ...]:
    return (Fires(labels, summary, description),)


def target(part: str, **more: str) -> Labels:
    """Labels that every series of a target has."""
    return MESH | {"host": "vm1"} | TARGETS[part] | more


def slot(name: str, **more: str) -> Labels:
    """Labels of a series of a slot of the mesh's services, as `registry@a`."""
    service = name.partition("@")[0]
    return MESH | {"host": "vm1", "job": f"aimesh-{service}", "instance": name, "planned": "yes"} | more


def series(metric: str, labels: Labels) -> str:
    """`metric{label="value"}`"""
    return f"{metric}{{{', '.join(f'{name}={json.dumps(value)}' for name, value in sorted(labels.items()))}}}"


def told(severity: str, labels: Labels, **more: str) -> Labels:
    """Labels of an alert about a series with `labels`."""
    return labels | {"severity": severity, "team": "platform"} | MESH | more


def early(case: Case) -> Case:
    """The same at a time when it has not lasted long enough."""
    return replace(case, says=f"{case.says}, for too short a time", at=case.not_yet, fires=())


def ending(case: Case) -> Case:
    """The same series, which end where the case looked: what nobody reports any longer is not alerted on."""
    count = milliseconds(case.at) // milliseconds(case.step) + 1
    cut = {name: _cut(values, count) for name, values in case.series.items()}
    later = f"{milliseconds(case.at) + milliseconds(case.fade)}ms"
    return replace(case, says=f"{case.says}, and then nobody reports", series=cut, at=later, fires=(), values={})


def milliseconds(text: str) -> int:
    return sum(int(number) * UNITS_MS[unit] for number, unit in re.findall(r"(\d+)(ms|[dhms])", text))


def promtool_test(case: Case, runbook: str | None) -> dict[str, Any]:
    """The case as promtool reads it."""
    test: dict[str, Any] = {
        "name": f"{case.rule}: {case.says}",
        "interval": case.step,
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
    }
    if ":" in case.rule:
        samples = [{"labels": labels, "value": value} for labels, value in case.values.items()]
        test["promql_expr_test"] = [{"expr": case.rule, "eval_time": case.at, "exp_samples": samples}]
    else:
        alerts = [
            {
                "exp_labels": each.labels,
                "exp_annotations": {
                    "summary": each.summary,
                    "description": each.description,
                }
                | ({"runbook_url": runbook} if runbook else {}),
            }
            for each in case.fires
        ]
        test["alert_rule_test"] = [{"eval_time": case.at, "alertname": case.rule, "exp_alerts": alerts}]
    return test


def _cut(values: str, count: int) -> str:
    """The first `count` values of promtool's notation, written out, and the end of the series."""
    found: list[str] = []
    for part in values.split():
        if part == "stale":
            found.append(part)
            continue
        matched = re.fullmatch(r"(-?[\d.e]+|_)(?:([+-][\d.e]+))?(?:x(\d+))?", part)
        if not matched:
            raise ValueError(f"{part!r} is no value of a series")
        start, step, times = matched[1], matched[2], int(matched[3] or 0)
        if start == "_":
            found += ["_"] * max(times, 1)
        else:
            found += [format(float(start) + number * float(step or 0), ".12g") for number in range(times + 1)]
    return " ".join([*found[:count], "stale"])

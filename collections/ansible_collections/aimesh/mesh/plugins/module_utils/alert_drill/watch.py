"""Stage 2: what Prometheus, Alertmanager and the alert receiver make of a real fault, and of its repair."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .api import Api, ApiError
from .hops import (
    DELIVERED,
    ENDED,
    FIRING,
    HEALTHY,
    REPAIRED,
    RULE,
    SEEN,
    SENT,
    TARGET,
    TEXT,
    DrillStoppedError,
    Hop,
    Wait,
)
from .ledger import Alert, alert_in, delivery, undelivered

LOOK_BACK_S = 3600
SHOWN = 120
"""Characters of a rule that a sentence shows."""
NUMBER = re.compile(r"(\d+(\.\d+)?(e[+-]?\d+)?(ms|[smhdwy])?)+")
BAD_TEXT = ("<no value>", "%!", "{{", "error expanding template", "<error")
"""What Go's templates leave of a value that is not there."""


@dataclass(frozen=True)
class Expected:
    """The alert that a fault must bring: `target` has labels of the series `up`, `labels` those of the alert."""

    alert: str
    target: Mapping[str, str]
    labels: Mapping[str, str]
    mentions: tuple[str, ...]
    """One of these has to be in its text."""
    counted: bool = False
    """Targets that are gone are no targets any more, so their number tells, and not their last value."""

    @property
    def name(self) -> str:
        return str(self.target.get("instance") or self.target.get("job"))


@dataclass(frozen=True)
class Limits:
    """Seconds that hops may take: `metric` a scrape, `rule` until it fires, `route` from there to the receiver."""

    metric: float
    rule: float
    route: float


@dataclass(frozen=True)
class Watch:
    """`drill_id` is set where the alerts carry it: those of a second Prometheus."""

    prometheus: Api
    alertmanager: Api
    receiver: Api
    expected: Expected
    limits: Limits
    poll_s: float = 0.2
    drill_id: str = ""
    logs: tuple[str, str] = ("", "")
    """Where Prometheus and Alertmanager log."""

    def healthy(self, soak_s: float) -> list[Hop]:
        """The target answers, the rules are sound, and nothing fires during the soak."""
        begun = time.time()
        expected = self.expected
        self._until(self.limits.metric, self._up, TARGET, lambda: self._not_up("1"), self.logs[0])
        hop = Hop(TARGET, time.time() - begun)
        self._until(self.limits.metric, self._rules_known, RULE, self._rules_trouble, self.logs[0])
        # A Prometheus that has just begun misses targets that it has not asked yet.
        self._until(self.limits.metric, lambda: not self._firing() or None, HEALTHY, self._fires_already, self.logs[0])
        quiet = time.time()
        time.sleep(soak_s)
        selector = _selector("ALERTS", {**expected.labels, "alertstate": "firing"})
        if self._first(selector, since=quiet) is not None:
            raise DrillStoppedError(HEALTHY, self._fires_already(), self.logs[0])
        return [hop]

    def same_rules_as(self, other: Api, log: str = "") -> None:
        """The mesh's own Prometheus has sound rules, and those that we watch with, whatever their durations.

        Raises DrillStoppedError.
        """
        theirs = _rules_of(other)
        for rule in theirs:
            if rule["health"] == "err":
                raise DrillStoppedError(
                    RULE, f"the mesh's own rule {rule['name']} fails ({rule.get('lastError')})", log
                )
        found = _readings(theirs)
        for name, reading in _readings(self._rules()).items():
            if name not in found:
                raise DrillStoppedError(RULE, f"the mesh's own Prometheus has no rule {name}", log)
            if found[name] != reading:
                query = next(rule["query"] for rule in theirs if rule["name"] == name)
                said = f"the mesh's own rule {name} reads otherwise than the plan's: {query[:SHOWN]}"
                raise DrillStoppedError(RULE, said, log)

    def fired(self, stopped: float) -> list[Hop]:
        """From the fault, in Unix seconds, to the alert receiver."""
        expected, limits = self.expected, self.limits
        up = _selector("up", expected.target)
        # Once a second whatever the interval: when there is no target, there is no sample.
        down, step = (f"(sum({up}) or vector(0))", ":1s") if expected.counted else (up, "")
        seen = self._until(
            limits.metric,
            lambda: self._first(down, stopped - 1, "0", step),
            SEEN,
            lambda: self._not_up("0"),
            self.logs[0],
        )
        alerts = {"alertname": expected.alert, **expected.labels}
        known = self._until(
            limits.rule, lambda: self._first(_selector("ALERTS", alerts), seen - 1), RULE, self._silent, self.logs[0]
        )
        firing = self._until(
            limits.rule,
            lambda: self._first(_selector("ALERTS", alerts | {"alertstate": "firing"}), seen - 1),
            FIRING,
            lambda: f"{expected.alert} is pending and does not fire within {limits.rule:g} s",
            self.logs[0],
        )
        self._until(
            limits.route,
            lambda: alert_in(self.alertmanager, self._wanted()),
            SENT,
            lambda: f"{expected.alert} fires and Alertmanager does not have it within {limits.route:g} s",
            self.logs[0],
        )
        sent = time.time()
        line = self._arrived("firing", firing - 1, DELIVERED)
        self._check_text(line)
        # It may have been delivered before we saw it in Alertmanager.
        sent = min(sent, line["received"])
        return [
            Hop(SEEN, seen - stopped),
            Hop(RULE, known - seen),
            Hop(FIRING, firing - known),
            Hop(SENT, sent - firing),
            Hop(DELIVERED, line["received"] - sent),
        ]

    def resolved(self, repaired: float) -> list[Hop]:
        """From the repair, in Unix seconds, to the news of it at the alert receiver."""
        up = _selector("up", self.expected.target)
        seen = self._until(
            self.limits.metric,
            lambda: self._first(up, repaired - 1, "1"),
            REPAIRED,
            lambda: self._not_up("1"),
            self.logs[0],
        )
        line = self._arrived("resolved", repaired - 1, ENDED)
        return [Hop(REPAIRED, seen - repaired), Hop(ENDED, line["received"] - seen)]

    def _until(self, limit_s: float, ask: Any, hop: str, seen: Any, log: str) -> Any:
        return Wait(limit_s, self.poll_s).until(ask, hop, seen, log)

    def _wanted(self) -> dict[str, str]:
        """Labels of the alert beyond Prometheus."""
        ours = {"drill_id": self.drill_id} if self.drill_id else {}
        return {"alertname": self.expected.alert, **self.expected.labels, **ours}

    def _arrived(self, status: str, since: float, hop: str) -> Alert:
        found: Alert = self._until(
            self.limits.route,
            lambda: delivery(self.receiver, self._wanted(), status, since),
            hop,
            lambda: undelivered(self.alertmanager, self.limits.route),
            self.logs[1],
        )
        return found

    def _check_text(self, line: Alert) -> None:
        """The text says which part is meant, and no placeholder is left in it."""
        said = line["annotations"]
        missing = [name for name in ("summary", "description", "runbook_url") if not said.get(name)]
        trouble = f"the alert has no {', '.join(missing)}" if missing else ""
        text = " ".join(said.values())
        left = [each for each in BAD_TEXT if each in text]
        if left and not trouble:
            trouble = f"the text has {left[0]!r} where a value should be"
        if not trouble and not any(word in text for word in self.expected.mentions):
            trouble = f"the text names neither of {', '.join(self.expected.mentions)}: {text[:200]!r}"
        if trouble:
            raise DrillStoppedError(TEXT, trouble, self.logs[1])

    def _up(self) -> bool | None:
        found = self._query(_selector("up", self.expected.target))
        return True if found and all(series["value"][1] == "1" for series in found) else None

    def _not_up(self, wanted: str) -> str:
        found = self._query(_selector("up", self.expected.target))
        values = ", ".join(sorted({series["value"][1] for series in found})) or "not there"
        return f"up of {self.expected.name} is {values} instead of {wanted} within {self.limits.metric:g} s"

    def _rules(self) -> list[dict[str, Any]]:
        return _rules_of(self.prometheus)

    def _rules_known(self) -> bool | None:
        """Every rule was evaluated without an error, and the expected one is among them."""
        rules = self._rules()
        sound = all(rule["health"] == "ok" for rule in rules)
        return True if sound and self.expected.alert in {rule["name"] for rule in rules} else None

    def _rules_trouble(self) -> str:
        rules = self._rules()
        if self.expected.alert not in {rule["name"] for rule in rules}:
            return f"Prometheus has no rule {self.expected.alert}"
        bad = next((rule for rule in rules if rule["health"] != "ok"), None)
        if bad is None:
            return "the rules were evaluated too late"
        return f"the rule {bad['name']} is {bad['health']} ({bad.get('lastError') or 'not evaluated yet'})"

    def _silent(self) -> str:
        query = next((rule["query"] for rule in self._rules() if rule["name"] == self.expected.alert), "no such rule")
        return (
            f"up of {self.expected.name} is 0 and {self.expected.alert} is not even pending within "
            f"{self.limits.rule:g} s; its rule is {query[:SHOWN]}"
        )

    def _firing(self) -> list[str]:
        """Names of alerts about the unit that fire now."""
        found = self._query(_selector("ALERTS", {**self.expected.labels, "alertstate": "firing"}))
        return sorted({series["metric"]["alertname"] for series in found})

    def _fires_already(self) -> str:
        return f"{', '.join(self._firing()) or 'an alert'} of {self.expected.name} fires although nothing is stopped"

    def _first(self, selector: str, since: float, value: str = "", step: str = "") -> float | None:
        """When the first sample since then was taken (of this value, if one is given), in Unix seconds."""
        window = min(LOOK_BACK_S, int(time.time() - since) + 2)
        samples = [sample for series in self._query(f"{selector}[{window}s{step}]") for sample in series["values"]]
        moments = [float(at) for at, found in samples if float(at) >= since and (not value or found == value)]
        return min(moments, default=None)

    def _query(self, expression: str) -> list[dict[str, Any]]:
        answer = self.prometheus.get("/api/v1/query", [("query", expression)])
        if answer.get("status") != "success":
            raise ApiError(f"{self.prometheus.name} refuses the query {expression}")
        return list(answer["data"]["result"])


def _rules_of(prometheus: Api) -> list[dict[str, Any]]:
    groups = prometheus.get("/api/v1/rules")["data"]["groups"]
    return [dict(rule) for group in groups for rule in group["rules"]]


def _readings(rules: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Name → the expressions of that name, with `#` for every number and duration, which depend on the scale."""
    found: dict[str, list[str]] = {}
    for rule in rules:
        found.setdefault(rule["name"], []).append(NUMBER.sub("#", rule["query"]))
    return found


def _selector(metric: str, labels: Mapping[str, str]) -> str:
    return f"{metric}{{{', '.join(f'{name}={quoted(value)}' for name, value in sorted(labels.items()))}}}"


def quoted(value: str) -> str:
    """A string of PromQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

"""Stage 1: an alert made by hand, through the real Alertmanager and its real routes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .api import Api, ApiError
from .hops import ANNOUNCED, DELIVERED, POSTED, RESOLVED, DrillStoppedError, Hop, Wait
from .ledger import LEDGER, NOBODY, Alert, alert_in, delivery, told, undelivered

NAME, PASSED = "AimeshDrill", "AimeshDrillPassed"
"""The second one makes the metric of the alert receiver that says when a drill passed last."""
LASTS_S = 60.0


@dataclass(frozen=True)
class Delivered:
    """`receivers`: severity → whom Alertmanager's routes choose."""

    hops: list[Hop]
    receivers: dict[str, list[str]]


@dataclass
class Synthetic:
    """One alert for each severity, all on their way at the same time."""

    alertmanager: Api
    receiver: Api
    drill_id: str
    labels: Mapping[str, str]
    severities: tuple[str, ...]
    wait: Wait
    log: str = ""

    def deliver(self) -> Delivered:
        """Raises DrillStoppedError. Whatever happens, the alerts are told to be over."""
        started = time.time()
        hops, receivers = [], {}
        try:
            for severity in self.severities:
                begun = time.time()
                found = self._accepted(severity)
                receivers[severity] = self._routed(severity, found)
                hops.append(Hop(f"{POSTED} ({severity})", time.time() - begun))
            hops += [self._arrived(severity, "firing", started) for severity in self.severities]
        except BaseException:
            with contextlib.suppress(ApiError):
                self._post(self.severities, started, ended=time.time())
            raise
        ended = time.time()
        self._end(started, ended)
        hops += [self._arrived(severity, "resolved", ended) for severity in self.severities]
        return Delivered(hops, receivers)

    def _accepted(self, severity: str) -> Alert:
        hop = f"{POSTED} ({severity})"
        begun = time.time()

        def ask() -> Alert | None:
            self._post((severity,), begun)
            return alert_in(self.alertmanager, self._wanted(severity))

        seen = f"Alertmanager took the alert and does not have it after {self.wait.limit_s:g} s"
        return self.wait.until(ask, hop, lambda: seen, self.log)

    def _routed(self, severity: str, alert: Alert) -> list[str]:
        """Who is told: the ledger, and nobody else."""
        names = told(alert)
        others = [name for name in names if name not in (LEDGER, NOBODY)]
        if LEDGER not in names:
            raise DrillStoppedError(
                f"{DELIVERED} ({severity})",
                f"Alertmanager's route leads to {', '.join(names) or 'nobody'} and not to {LEDGER}",
                self.log,
            )
        if others:
            raise DrillStoppedError(
                f"{DELIVERED} ({severity})", f"Alertmanager's route takes a drill to {', '.join(others)}", self.log
            )
        return names

    def _arrived(self, severity: str, status: str, since: float) -> Hop:
        hop = f"{DELIVERED if status == 'firing' else RESOLVED} ({severity})"
        line = self.wait.until(
            lambda: delivery(self.receiver, self._wanted(severity), status, since),
            hop,
            lambda: undelivered(self.alertmanager, self.wait.limit_s),
            self.log,
        )
        return Hop(hop, line["received"] - since)

    def _end(self, started: float, ended: float) -> None:
        def ask() -> bool:
            self._post(self.severities, started, ended=ended)
            return True

        self.wait.until(ask, RESOLVED, lambda: "Alertmanager does not take the end of the alerts", self.log)

    def _wanted(self, severity: str) -> dict[str, str]:
        return {"alertname": NAME, "drill_id": self.drill_id, "severity": severity}

    def _post(self, severities: tuple[str, ...], started: float, ended: float | None = None) -> None:
        self.alertmanager.post("/api/v2/alerts", [self._alert(each, started, ended) for each in severities])

    def _alert(self, severity: str, started: float, ended: float | None) -> dict[str, Any]:
        over = {"endsAt": _clock(ended)} if ended is not None else {}
        return {
            "labels": {**self.labels, "drill": "true", **self._wanted(severity)},
            "annotations": {
                "summary": f"Drill {self.drill_id}: a synthetic alert of severity {severity}",
                "description": "Made by the alert drill; nothing is wrong and nobody is told.",
            },
            "startsAt": _clock(started),
        } | over


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1000):03d}Z"


def announce(alertmanager: Api, receiver: Api, drill_id: str, wait: Wait, log: str = "") -> None:
    """The drill has passed: news of it goes the way of every alert. Raises DrillStoppedError."""
    begun = time.time()
    wanted = {"alertname": PASSED, "drill_id": drill_id}
    news = {
        "labels": {**wanted, "drill": "true", "severity": "none"},
        "annotations": {"summary": f"Drill {drill_id} has passed"},
        "startsAt": _clock(begun),
        "endsAt": _clock(begun + LASTS_S),
    }

    def ask() -> Alert | None:
        alertmanager.post("/api/v2/alerts", [news])
        return delivery(receiver, wanted, "firing", begun)

    wait.until(ask, ANNOUNCED, lambda: undelivered(alertmanager, wait.limit_s), log)

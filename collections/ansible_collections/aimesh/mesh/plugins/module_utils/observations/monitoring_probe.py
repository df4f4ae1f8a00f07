"""Prometheus, Alertmanager and the alert receiver of a mesh, looked at along the way that an alert takes."""

from __future__ import annotations

import time
from typing import Any

from .alertmanager_probe import Alertmanager
from .base import Environment, ProbeError, Question
from .http_probe import field, request
from .prometheus_probe import Prometheus, part_of

PAUSE_S = 1.0


def answer_monitoring(question: Question, environment: Environment) -> dict[str, Any]:
    """Three parts, each `{"error": sentence}` where it does not answer, and `at`, the time of the host.

    `prometheus`, `alertmanager`, `receiver` are URLs, `token` is the name of the receiver's secret. `targets`,
    `spares`, `queries`, `signs` and `settle_s` are those of `Prometheus.look`. The Watchdog may be missing, or older
    than `watchdog.age_s`, no longer than `watchdog.due_s` after the start of Prometheus or Alertmanager: so long it is
    waited for.
    """
    attempt = environment.limited(question["step_timeout"])
    token = str(question["token"])
    environment.secret(token)
    prometheus = part_of(lambda: Prometheus(str(question["prometheus"]), attempt).look(question, question["settle_s"]))
    alertmanager = Alertmanager(str(question["alertmanager"]), attempt)
    seen = part_of(alertmanager.look)
    receiver = {"url": f"{question['receiver']}/alerts", "token": token}
    told = part_of(lambda: _told(receiver, attempt))
    age_s, due_s = question["watchdog"]["age_s"], question["watchdog"]["due_s"]
    due = max(float(part.get("started", 0)) for part in (prometheus, seen)) + due_s
    waited = False
    while "error" not in told and not _is_young(told, age_s) and time.time() < due:
        time.sleep(PAUSE_S)
        waited, told = True, part_of(lambda: _told(receiver, attempt))
    if waited:
        seen = part_of(alertmanager.look)
    return {"at": round(time.time(), 3), "prometheus": prometheus, "alertmanager": seen, "receiver": told}


def _is_young(told: dict[str, Any], age_s: float) -> bool:
    return bool(time.time() - (told["watchdog"] or 0) <= age_s)


def _told(question: dict[str, Any], environment: Environment) -> dict[str, Any]:
    answer = request(question, environment, environment.timeout)
    if answer["status"] != 200:
        reason = field(answer["json"], "error") or answer["body"].strip()[:120]
        raise ProbeError(f"/alerts answered with status {answer['status']}: {reason}")
    return {"watchdog": field(answer["json"], "watchdog_received"), "active": len(answer["json"]["active"])}

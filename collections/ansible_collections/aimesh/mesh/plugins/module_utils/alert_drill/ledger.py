"""The alert receiver and Alertmanager, as a drill asks them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .api import Api

Alert = dict[str, Any]
LEDGER = "aimesh-ledger"
"""Alertmanager's name of the alert receiver."""
NOBODY = "aimesh-null"
FAILED = "alertmanager_notifications_failed_total{"


def matches(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


def alert_in(alertmanager: Api, wanted: Mapping[str, str]) -> Alert | None:
    """The alert with these labels that Alertmanager has now."""
    filters = [("filter", f'{name}="{value}"') for name, value in wanted.items()]
    return next((dict(alert) for alert in alertmanager.get("/api/v2/alerts", filters)), None)


def told(alert: Alert) -> list[str]:
    """Names of the receivers that Alertmanager's routes choose for an alert."""
    return sorted(str(each["name"]) for each in alert["receivers"])


def delivery(receiver: Api, wanted: Mapping[str, str], status: str, since: float) -> Alert | None:
    """The first ledger line since then of an alert with these labels."""
    query = [("since", f"{since:.3f}")] + ([("drill", wanted["drill_id"])] if "drill_id" in wanted else [])
    lines = receiver.lines("/deliveries", query)
    return next((line for line in lines if line["status"] == status and matches(line["labels"], wanted)), None)


def failed_notifications(alertmanager: Api) -> int:
    """How many messages to webhooks Alertmanager could not deliver since it was started."""
    lines = alertmanager.text("/metrics").splitlines()
    counts = [line for line in lines if line.startswith(FAILED) and 'integration="webhook"' in line]
    return round(sum(float(line.rpartition(" ")[2]) for line in counts))


def undelivered(alertmanager: Api, limit_s: float) -> str:
    """What is seen when nothing arrives."""
    count = failed_notifications(alertmanager)
    failed = f"{count} messages to webhooks failed" if count else "Alertmanager tells of no failed message"
    return f"nothing arrived at the alert receiver within {limit_s:g} s, {failed}"

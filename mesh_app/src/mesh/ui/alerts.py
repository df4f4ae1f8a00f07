"""What fires, as the alert receiver of the mesh's monitoring tells it; never "nothing" when nobody knows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import aiohttp
import msgspec

from mesh.core.secrets import ConfigError
from mesh.core.settings import AlertReceiver
from mesh.web.problem import ProblemError
from mesh.web.upstream import Upstreams

NAME = "the alert receiver"
TIMEOUT = aiohttp.ClientTimeout(total=2.0)
SILENT_AFTER = 300.0
"""Seconds; the Watchdog fires all the time, so without it for this long nobody can say that nothing fires."""
MOST = 200
"""Alerts that a page shows."""
_SEVERITIES = ("critical", "warning", "ticket")
_UnixTime = Annotated[float, msgspec.Meta(ge=0, lt=2**32)]


class _Told(msgspec.Struct):
    labels: dict[str, str]
    annotations: dict[str, str]
    since: str


class Report(msgspec.Struct):
    """The receiver's GET /alerts; `watchdog_received` is Unix time, None when no Watchdog has ever come."""

    watchdog_received: _UnixTime | None
    active: list[_Told]

    @property
    def silent(self) -> bool:
        return self.watchdog_received is None or time.time() - self.watchdog_received > SILENT_AFTER


@dataclass(frozen=True)
class Alert:
    """One row; `since` is ISO 8601 in UTC, None where the receiver's cannot be read."""

    name: str
    severity: str
    service: str
    host: str
    summary: str
    since: str | None
    runbook: str | None


@dataclass(frozen=True)
class Look:
    """What can be said now. With `unknown`, one sentence, nothing else counts."""

    unknown: str | None = None
    silent: bool = False
    watchdog: str | None = None
    total: int = 0
    alerts: tuple[Alert, ...] = ()


class Alerts:
    def __init__(self, upstreams: Upstreams, receiver: AlertReceiver | None) -> None:
        self._upstreams = upstreams
        self._receiver = receiver

    async def look(self) -> Look | None:
        """None where monitoring is not part of the mesh. Raises nothing and takes two seconds at most."""
        if self._receiver is None:
            return None
        try:
            headers = {"Authorization": f"Bearer {self._receiver.token()}"}
            url = f"{self._receiver.url}/alerts"
            reply = await self._upstreams.fetch(NAME, "GET", url, headers=headers, timeout=TIMEOUT)
        except ProblemError:
            return _unknown(f"{NAME} does not answer; look at its log")
        except ConfigError as error:
            return _unknown(str(error).rstrip("."))
        if reply.status == 401:
            return _unknown(f"{NAME} refuses this service's token; deploy again, so that both have the same")
        try:
            if reply.status == 200:
                return seen(msgspec.json.decode(reply.body, type=Report))
        except msgspec.DecodeError:
            pass
        return _unknown(f"{NAME} gives no list of alerts (status {reply.status}); look at MESH_ALERTS_URL")


def seen(report: Report) -> Look:
    alerts = sorted(map(_alert, report.active), key=_urgency)
    watchdog = report.watchdog_received
    at = None if watchdog is None else _iso(datetime.fromtimestamp(watchdog, UTC))
    return Look(silent=report.silent, watchdog=at, total=len(alerts), alerts=tuple(alerts[:MOST]))


def _unknown(reason: str) -> Look:
    return Look(unknown=f"Alerts are unknown: {reason}.")


def _urgency(alert: Alert) -> tuple[int, str, str]:
    place = _SEVERITIES.index(alert.severity) if alert.severity in _SEVERITIES else len(_SEVERITIES)
    return place, alert.since or "", alert.name


def _alert(told: _Told) -> Alert:
    labels, annotations = told.labels, told.annotations
    runbook = annotations.get("runbook_url", "")
    return Alert(
        name=labels.get("alertname") or "–",
        severity=labels.get("severity") or "none",
        service=labels.get("service") or "–",
        host=labels.get("host") or "–",
        summary=annotations.get("summary") or annotations.get("description") or "",
        since=_moment(told.since),
        # A page must lead nowhere that a browser would run.
        runbook=runbook if runbook.startswith(("https://", "http://")) else None,
    )


def _moment(text: str) -> str | None:
    try:
        return _iso(datetime.fromisoformat(text).astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"

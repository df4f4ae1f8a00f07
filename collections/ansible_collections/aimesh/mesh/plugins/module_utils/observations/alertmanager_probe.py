"""What an Alertmanager is asked through its API, cut down on the host to what can be judged and holds no secret."""

from __future__ import annotations

import re
from typing import Any

from .base import Environment, ProbeError
from .http_probe import field, request
from .prometheus_probe import LABELS, seconds_of

RELOAD_OK = "alertmanager_config_last_reload_successful"
LOADED = "alertmanager_config_last_reload_success_timestamp_seconds"
FAILED = "alertmanager_notification_requests_failed_total"
_ROUTE = re.compile(r"^route:\n(?:[ -].*\n?)+", re.MULTILINE)


class Alertmanager:
    """The API of one server. Every method raises ProbeError when it does not answer."""

    def __init__(self, url: str, environment: Environment) -> None:
        self._url = url
        self._environment = environment

    def look(self) -> dict[str, Any]:
        """Of its configuration names of receivers and the YAML of routes alone: URLs of receivers are secrets."""
        self._get("/-/ready")
        status = self._get("/api/v2/status")["json"]
        route = _ROUTE.search(str(field(status, "config.original")))
        return {
            "started": seconds_of(field(status, "uptime")),
            "reload_ok": self._metric(RELOAD_OK) == 1,
            "loaded": self._metric(LOADED),
            "failed": self._metric(FAILED),
            "receivers": [each["name"] for each in self._get("/api/v2/receivers")["json"]],
            "route": route.group() if route else "",
            "alerts": [_alert(each) for each in self._get("/api/v2/alerts")["json"]],
        }

    def _metric(self, name: str) -> Any:
        return self._get("/metrics", metric=name)["value"]

    def _get(self, path: str, **more: Any) -> dict[str, Any]:
        answer = request({"url": f"{self._url}{path}", **more}, self._environment, self._environment.timeout)
        if answer["status"] != 200:
            raise ProbeError(f"{path} answered with status {answer['status']}: {answer['body'].strip()[:120]}")
        return answer


def _alert(alert: dict[str, Any]) -> dict[str, Any]:
    labels = {name: alert["labels"][name] for name in LABELS if name in alert["labels"]}
    receivers = [each["name"] for each in alert["receivers"]]
    return labels | {"state": alert["status"]["state"], "receivers": receivers}

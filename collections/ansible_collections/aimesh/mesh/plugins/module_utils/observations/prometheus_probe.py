"""What a Prometheus is asked through its API, cut down on the host to what can be judged."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from .base import Environment, ProbeError
from .http_probe import field, request

PAUSE_S = 1.0
SPREAD_S = 6.0
"""Prometheus gathers changes of whom to ask and whom to alert for five seconds before it goes by them."""
LABELS = ("alertname", "severity", "service", "host", "instance", "drill")
_JOB = re.compile(r"^- job_name: (.+)$|^ +- job_name: (.+)$", re.MULTILINE)
_GLOBAL = re.compile(r"^global:\n((?: .*\n)*)", re.MULTILINE)
_INTERVAL = re.compile(r"^  (scrape_interval|evaluation_interval): (\S+)$", re.MULTILINE)

Rows = list[dict[str, Any]]


class Prometheus:
    """The API of one server. Every method raises ProbeError when it does not answer."""

    def __init__(self, url: str, environment: Environment) -> None:
        self._url = url
        self._environment = environment

    def look(self, wanted: Mapping[str, Any], settle_s: float) -> dict[str, Any]:
        """Everything at once. `wanted`: `targets`, `spares` (labels `instance`), `discovered` (job → the least and the
        most it has), `queries`, `signs` (name → PromQL).

        A target or rule that is not well is looked at again until Prometheus has asked or evaluated it once more, and
        signs until all their values are 1, critical alerts until none fires, at most for `settle_s`: what it knows may
        be older than the last change. A reload makes it forget every Alertmanager for up to `SPREAD_S`.
        """
        self._require_ready()
        runtime, flags = self._data("status/runtimeinfo"), self._data("status/flags")
        config = str(self._data("status/config").get("yaml", ""))
        asked = time.time()
        until = asked + settle_s
        targets, rules = self._settled(wanted, until)
        # The whole answer may come much later: whoever calls waits for the first Watchdog of a fresh start.
        read = round(time.time(), 3)
        signs = self._signs(wanted["signs"], until)
        alerts = self._calmed(until)
        return {
            "rules_read": read,
            "started": seconds_of(runtime.get("startTime")),
            "reload_ok": runtime.get("reloadConfigSuccess"),
            "loaded": seconds_of(runtime.get("lastConfigTime")),
            "retention": {name: flags.get(f"storage.tsdb.retention.{name}") for name in ("time", "size")},
            "intervals": dict(_INTERVAL.findall("".join(_GLOBAL.findall(config)))),
            "jobs": [(one or other).strip("\"'") for one, other in _JOB.findall(config)],
            "targets": targets,
            "rules": rules,
            "alerts": alerts,
            "alertmanagers": self._alertmanagers(min(until, asked + SPREAD_S)),
            "series": {name: self._query(query) for name, query in wanted["queries"].items()},
            "signs": signs,
        }

    def _require_ready(self) -> None:
        answer = request({"url": f"{self._url}/-/ready"}, self._environment, self._environment.timeout)
        if answer["status"] != 200:
            raise ProbeError(f"it is not ready: status {answer['status']}, {answer['body'].strip()[:120]}")

    def _data(self, path: str) -> dict[str, Any]:
        found = self._api(path)
        if not isinstance(found, dict):
            raise ProbeError(f"/api/v1/{path} has no object as its data")
        return found

    def _api(self, path: str) -> Any:
        answer = request({"url": f"{self._url}/api/v1/{path}"}, self._environment, self._environment.timeout)
        if answer["status"] != 200 or field(answer["json"], "status") != "success":
            said = field(answer["json"], "error") or answer["body"].strip()[:120]
            raise ProbeError(f"/api/v1/{path.partition('?')[0]} answered with status {answer['status']}: {said}")
        return answer["json"].get("data")

    def _settled(self, given: Mapping[str, Any], until: float) -> tuple[Rows, Rows]:
        wanted, spares, discovered = list(given["targets"]), list(given["spares"]), dict(given.get("discovered") or {})
        asked = time.time()
        spread = asked + SPREAD_S
        while True:
            targets, rules = self._targets(), self._rules()
            found = [row for row in targets if row["job"] in discovered]
            seen = {row["instance"] for row in targets if row not in found}
            well = Counter(row["job"] for row in found if row["health"] == "up")
            # DNS goes on naming a pod that has just ended, for as long as it remembers.
            gone = [row["job"] for row in found if row["health"] != "up"]
            missing = gone + [job for job, (least, most) in discovered.items() if not least <= well[job] <= most]
            waits = [name for name in wanted if name not in seen]
            weak = [row for row in targets if row["instance"] in wanted and row["health"] != "up"]
            waits += [row["instance"] for row in weak if row["scraped"] < spread]
            waits += [name for name in seen - {*wanted, *spares} if time.time() < spread]
            waits += [row["name"] for row in rules if row["health"] != "ok" and row["evaluated"] < asked]
            if not (waits or missing) or time.time() > until:
                return targets, rules
            time.sleep(PAUSE_S)

    def _signs(self, queries: Mapping[str, str], until: float) -> dict[str, Rows]:
        while True:
            found = {name: self._query(query) for name, query in queries.items()}
            well = all(rows and all(row["value"] == "1" for row in rows) for rows in found.values())
            if well or time.time() > until:
                return found
            time.sleep(PAUSE_S)

    def _alertmanagers(self, until: float) -> list[Any]:
        while True:
            found = [each.get("url") for each in self._data("alertmanagers")["activeAlertmanagers"]]
            if found or time.time() > until:
                return found
            time.sleep(PAUSE_S)

    def _targets(self) -> Rows:
        return [
            {
                "job": field(each, "labels.job"),
                "instance": field(each, "labels.instance"),
                "planned": field(each, "labels.planned"),
                "health": each.get("health"),
                "error": each.get("lastError") or "",
                "scraped": seconds_of(each.get("lastScrape")),
            }
            for each in self._data("targets?state=active")["activeTargets"]
        ]

    def _rules(self) -> Rows:
        return [
            {
                "name": rule.get("name"),
                "type": rule.get("type"),
                "health": rule.get("health"),
                "error": rule.get("lastError") or "",
                "evaluated": seconds_of(rule.get("lastEvaluation")),
                "interval": group["interval"],
            }
            for group in self._data("rules")["groups"]
            for rule in group["rules"]
        ]

    def _calmed(self, until: float) -> Rows:
        while True:
            firing = self._firing()
            if not any(is_critical(row) for row in firing) or time.time() > until:
                return firing
            time.sleep(PAUSE_S)

    def _firing(self) -> Rows:
        found = [each for each in self._data("alerts")["alerts"] if each.get("state") == "firing"]
        return [{name: each["labels"][name] for name in LABELS if name in each["labels"]} for each in found]

    def _query(self, query: str) -> Rows:
        found = self._data(f"query?{urlencode({'query': query})}")["result"]
        return [
            {name: each["metric"].get(name) for name in ("job", "instance")} | {"value": each["value"][1]}
            for each in found
        ]


def is_critical(alert: Mapping[str, Any]) -> bool:
    """Of the mesh itself: what a drill raises has the label `drill`."""
    return alert.get("severity") == "critical" and alert.get("drill") != "true"


def seconds_of(text: object) -> float:
    """Unix time of RFC 3339 text; 0 for Go's zero time and for what is none."""
    # Go writes nanoseconds, and Python reads microseconds.
    short = re.sub(r"(\.\d{6})\d+", r"\1", str(text)).replace("Z", "+00:00")
    try:
        return max(0.0, round(datetime.fromisoformat(short).timestamp(), 3))
    except (ValueError, OverflowError):
        return 0.0


def part_of(look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `look` gives, or `{"error": sentence}`: one broken hop does not hide the others."""
    try:
        return look()
    except ProbeError as error:
        return {"error": str(error)}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return {"error": f"its answer is not of the known form ({type(error).__name__}: {error})"}

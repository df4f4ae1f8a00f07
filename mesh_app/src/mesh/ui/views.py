"""What each page shows: one concurrent round of calls to the services, then values for the template."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode

from mesh.core.settings import SERVICES, VERIFY_NAMESPACE
from mesh.ui.alerts import Alerts
from mesh.ui.chart import sample_charts, series_charts
from mesh.ui.pages import Gathered
from mesh.web.http import Call, Parameter
from mesh.web.problem import ProblemError
from mesh.web.upstream import Upstreams

View = tuple[str, dict[str, Any]]
Page = Callable[[Call, Gathered], Awaitable[View]]
AGENT_FILTERS = ("q", "type", "vendor", "status", "origin")
_HARNESS = Parameter("harness", str, "Anything: show the verification harness's own records.")
_CURSOR = Parameter("cursor")


class Views:
    def __init__(self, upstreams: Upstreams, gateway: str, alerts: Alerts) -> None:
        self._upstreams = upstreams
        self._gateway = gateway
        self._alerts = alerts

    def table(self) -> list[tuple[str, Page, tuple[Parameter, ...]]]:
        """Path, page and query parameters."""
        filters = tuple(Parameter(name) for name in AGENT_FILTERS)
        return [
            ("/", self.overview, ()),
            ("/agents", self.agents, (*filters, _HARNESS, _CURSOR)),
            ("/agents/{id}", self.agent, (Parameter("origin"),)),
            ("/decisions", self.decisions, (Parameter("decision"), _HARNESS, _CURSOR)),
            ("/decisions/{id}", self.decision, ()),
            ("/telemetry", self.telemetry, (Parameter("minutes"), _HARNESS)),
            ("/peers", self.peers, ()),
            ("/status", self.status, ()),
            ("/alerts", self.alerts, ()),
        ]

    async def overview(self, call: Call, gathered: Gathered) -> View:
        agents, everywhere, denied, newest, series, services, alerts = await gathered.all(
            self._get(call, "registry", "/api/v1/agents/count"),
            self._get(call, "registry", "/api/v1/agents/count", origin="all"),
            self._get(call, "policy", "/api/v1/decisions/count", decision="deny"),
            self._get(call, "policy", "/api/v1/decisions", decision="deny", limit="8"),
            self._get(call, "telemetry", "/api/v1/metrics/series", minutes="60"),
            self._health(),
            self._alerts.look(),
        )
        own = agents["count"] if agents else None
        values = {
            "agents": own,
            "foreign": everywhere["count"] - own if everywhere and own is not None else None,
            "denied": denied["count"] if denied else None,
            "ready": sum(service["status"] == "ok" for service in services),
            "decisions": newest["items"] if newest else None,
            "charts": series_charts(series)[:2] if series else None,
            "services": services,
            "alerts": alerts,
        }
        return "overview.html", values

    async def agents(self, call: Call, gathered: Gathered) -> View:
        filters = {name: call.query(name) or "" for name in AGENT_FILTERS}
        chosen = {name: value for name, value in filters.items() if value}
        harness, given = _harness(call), dict(chosen)
        if harness:
            given["namespace"] = VERIFY_NAMESPACE
        found, total = await gathered.all(
            self._get(call, "registry", "/api/v1/agents", **given, **_cursor(call)),
            self._get(call, "registry", "/api/v1/agents/count", **given),
        )
        switched = {**chosen, **({} if harness else {"harness": "1"})}
        values = {
            "filters": filters,
            "filtered": bool(chosen),
            "harness": harness,
            "switch": _address("/agents", switched),
            "agents": found["items"] if found else None,
            "total": total["count"] if total else None,
            "next": _next("/agents", {**chosen, **({"harness": "1"} if harness else {})}, found),
            "gateway": self._gateway,
        }
        return "agents.html", values

    async def agent(self, call: Call, gathered: Gathered) -> View:
        identity, origin = call.path("id"), call.query("origin")
        path = f"/api/v1/agents/{quote(identity, safe='')}"
        agent, samples = await gathered.all(
            self._get(call, "registry", path, **({"origin": origin} if origin else {})),
            self._get(call, "telemetry", "/api/v1/metrics", agent_id=identity, limit="200"),
        )
        newest = samples["items"] if samples else []
        values = {
            "agent": agent,
            "card": f"{self._gateway}{path}/.well-known/agent-card.json",
            "charts": sample_charts(newest) if samples else None,
            "samples": newest[:10],
            "gateway": self._gateway,
        }
        return "agent.html", values

    async def decisions(self, call: Call, gathered: Gathered) -> View:
        chosen, harness = call.query("decision") or "", _harness(call)
        shown = {"decision": chosen} if chosen else {}
        namespace = {"namespace": VERIFY_NAMESPACE} if harness else {}
        found = await gathered.get(
            self._get(call, "policy", "/api/v1/decisions", **shown, **namespace, **_cursor(call))
        )
        kept = {"harness": "1"} if harness else {}
        values = {
            "tabs": [
                (_address("/decisions", {**({"decision": word} if word else {}), **kept}), label, word == chosen)
                for word, label in (("", "All"), ("deny", "Denied"), ("redact", "Redacted"), ("allow", "Allowed"))
            ],
            "harness": harness,
            "switch": _address("/decisions", {**shown, **({} if harness else {"harness": "1"})}),
            "decisions": found["items"] if found else None,
            "next": _next("/decisions", {**shown, **kept}, found),
        }
        return "decisions.html", values

    async def decision(self, call: Call, gathered: Gathered) -> View:
        path = f"/api/v1/decisions/{quote(call.path('id'), safe='')}"
        return "decision.html", {"decision": await gathered.get(self._get(call, "policy", path))}

    async def telemetry(self, call: Call, gathered: Gathered) -> View:
        minutes, harness = call.query("minutes") or "60", _harness(call)
        namespace = {"namespace": VERIFY_NAMESPACE} if harness else {}
        series, newest = await gathered.all(
            self._get(call, "telemetry", "/api/v1/metrics/series", minutes=minutes),
            self._get(call, "telemetry", "/api/v1/metrics", limit="20", **namespace),
        )
        kept = {"harness": "1"} if harness else {}
        values = {
            "tabs": [
                (_address("/telemetry", {"minutes": value, **kept}), label, value == minutes)
                for value, label in (("60", "Hour"), ("1440", "Day"), ("10080", "Week"))
            ],
            "harness": harness,
            "switch": _address("/telemetry", {"minutes": minutes, **({} if harness else {"harness": "1"})}),
            "charts": series_charts(series) if series else None,
            "samples": newest["items"] if newest else None,
            "gateway": self._gateway,
        }
        return "telemetry.html", values

    async def peers(self, call: Call, gathered: Gathered) -> View:
        peers, conflicts = await gathered.all(
            self._get(call, "federation", "/api/v1/peers"),
            self._conflicts(call),
        )
        values = {
            "peers": peers["items"] if peers else None,
            "conflicts": conflicts,
        }
        return "peers.html", values

    async def status(self, _call: Call, _gathered: Gathered) -> View:
        services = await self._health()
        return "status.html", {"services": services}

    async def alerts(self, _call: Call, gathered: Gathered) -> View:
        look = await self._alerts.look()
        if look and look.unknown:
            gathered.problems.append(ProblemError(502, look.unknown))
        return "alerts.html", {"look": look}

    async def _get(self, call: Call, service: str, path: str, **params: str) -> Any:
        return await self._upstreams.get_json(service, path, call=call, params=params)

    async def _conflicts(self, call: Call) -> Any:
        """None where federation is of a release that cannot list them, as in the middle of an update."""
        try:
            return (await self._get(call, "federation", "/api/v1/conflicts"))["items"]
        except ProblemError as problem:
            if problem.status != 404:
                raise
            return None

    async def _health(self) -> list[dict[str, Any]]:
        reports = await asyncio.gather(*(self._upstreams.health(service) for service in SERVICES))
        empty: dict[str, Any] = {
            "version": "",
            "checks": {},
            "schema": None,
            "error": None,
            "draining": False,
            "instance": "",
        }
        return [{**empty, **report, "name": service} for service, report in zip(SERVICES, reports, strict=True)]


def _harness(call: Call) -> bool:
    return call.query("harness") is not None


def _cursor(call: Call) -> dict[str, str]:
    cursor = call.query("cursor")
    return {"cursor": cursor} if cursor else {}


def _address(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _next(path: str, given: dict[str, str], found: Any) -> str | None:
    if not found or not found["next_cursor"]:
        return None
    return _address(path, {**given, "cursor": found["next_cursor"]})

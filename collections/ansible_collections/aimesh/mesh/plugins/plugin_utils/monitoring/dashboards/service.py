"""One service, chosen by the reader: its traffic by route, its instances, its probes."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.expressions import (
    ERRORS,
    REQUESTS,
    error_ratio,
    latency,
    rate,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import (
    UP_OR_DOWN,
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
    stat,
    worse_above,
    worse_below,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UID = "aimesh-service"
ONE = 'service="$service"'
JOB = 'job="aimesh-$service"'
NO_TRAFFIC = "No line where nothing was asked."
PUBLIC_ONLY = "only public endpoints are probed."


def dashboard(plan: Plan) -> Dashboard:
    return Dashboard(
        uid=UID,
        title="Service",
        text="One service: what it is asked, how it answers, by route and by instance.",
        variables=(Variable("service", "Service", REQUESTS, "service"),),
        rows=(Row("Now", _now(plan)), Row("Answers", _answers(plan)), Row("Routes and instances", _routes())),
    )


def _now(plan: Plan) -> tuple[Panel, ...]:
    limits = plan["thresholds"]
    planned = f'{JOB},planned="yes"'
    return (
        stat(
            "Planned instances up",
            f"sum(up{{{planned}}}) / count(up{{{planned}}})",
            unit="percentunit",
            steps=worse_below(0.01, 1),
        ),
        stat(
            "Endpoint",
            f"min(probe_success{{{ONE}}})",
            text="Readiness as the monitoring host sees it.",
            steps=worse_below(1),
            mappings=UP_OR_DOWN,
            may_be_empty=PUBLIC_ONLY,
        ),
        stat("Requests", rate(REQUESTS, matchers=ONE), unit="reqps"),
        stat(
            "Errors",
            error_ratio(matchers=ONE),
            unit="percentunit",
            text=f"Answers of 500 and above among all. {NO_TRAFFIC}",
            steps=worse_above(limits["error_ratio"], limits["error_ratio"] / 5),
        ),
        stat(
            "Latency p95",
            latency(0.95, matchers=ONE),
            unit="s",
            text=NO_TRAFFIC,
            steps=worse_above(limits["latency_p95_s"], limits["latency_p95_s"] / 2),
        ),
        stat("Errors in the last hour", f"round(sum(increase({ERRORS}{{{ONE}}}[1h])))", steps=worse_above(1)),
    )


def _answers(plan: Plan) -> tuple[Panel, ...]:
    limits = plan["thresholds"]
    return (
        Panel(
            "Requests by status",
            (Query(rate(REQUESTS, "status", ONE), "{{status}}"),),
            unit="reqps",
            stacked=True,
            minimum=0,
        ),
        Panel(
            "Errors",
            (Query(error_ratio(matchers=ONE), "errors"),),
            unit="percentunit",
            text=f"Answers of 500 and above among all. {NO_TRAFFIC}",
            steps=worse_above(limits["error_ratio"]),
            minimum=0,
        ),
        Panel(
            "Latency",
            tuple(Query(latency(share, matchers=ONE), f"p{share * 100:.0f}") for share in (0.5, 0.95, 0.99)),
            unit="s",
            text=f"Within how long half, 95 % and 99 % of the requests were answered. {NO_TRAFFIC}",
            steps=worse_above(limits["latency_p95_s"]),
            minimum=0,
        ),
    )


def _routes() -> tuple[Panel, ...]:
    route = "method, route"
    return (
        Panel(
            "Requests by route",
            (Query(f"topk(10, {rate(REQUESTS, route, ONE)})", "{{method}} {{route}}"),),
            unit="reqps",
            text="The ten that are asked most.",
            width=12,
            minimum=0,
        ),
        Panel(
            "Latency p95 by route",
            (Query(f"topk(10, {latency(0.95, route, ONE)})", "{{method}} {{route}}"),),
            unit="s",
            text=f"The ten slowest. {NO_TRAFFIC}",
            width=12,
            minimum=0,
        ),
        Panel(
            "Errors by route",
            (Query(f"topk(10, {rate(ERRORS, f'{route}, status', ONE)})", "{{method}} {{route}} {{status}}"),),
            unit="reqps",
            width=12,
            minimum=0,
        ),
        Panel(
            "Requests by instance",
            (Query(rate(REQUESTS, "instance", ONE), "{{instance}}"),),
            unit="reqps",
            text="Replicas should have about the same; during an update the calls go from slot to slot.",
            width=12,
            minimum=0,
        ),
        Panel(
            "Instances",
            (Query(f"max by (instance, host, planned) (up{{{JOB}}})", "{{instance}} on {{host}}"),),
            text="1 while it answers a scrape. A spare slot (planned: no) runs during updates only.",
            width=24,
            height=6,
            minimum=0,
            maximum=1,
        ),
    )

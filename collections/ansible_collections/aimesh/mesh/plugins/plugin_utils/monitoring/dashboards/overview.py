"""The mesh at a glance: what is down, how much it is asked, how well it answers."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.expressions import (
    REQUESTS,
    error_ratio,
    latency,
    number_of,
    rate,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import (
    UP_OR_DOWN,
    Dashboard,
    Panel,
    Query,
    Row,
    stat,
    worse_above,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UID = "aimesh-mesh"
NO_TRAFFIC = "No line where nothing was asked."


def dashboard(plan: Plan) -> Dashboard:
    return Dashboard(
        uid=UID,
        title="Mesh overview",
        text="What is down, how much the mesh is asked, how well it answers.",
        rows=(Row("Now", _now(plan)), Row("Traffic", _traffic(plan)), Row("Parts", _parts())),
    )


def _now(plan: Plan) -> tuple[Panel, ...]:
    limits = plan["thresholds"]
    firing = 'ALERTS{alertstate="firing",severity!="none",drill!="true"}'
    return (
        stat(
            "Instances down",
            number_of('up{planned="yes"} == 0'),
            text="Planned instances of services that do not answer a scrape.",
            steps=worse_above(1),
            width=3,
        ),
        stat(
            "Stores and exporters down",
            number_of('up{job=~"aimesh-.*",planned=""} == 0 or pg_up == 0 or redis_up == 0'),
            text="PostgreSQL, Redis, and everything scraped that is no service.",
            steps=worse_above(1),
            width=3,
        ),
        stat(
            "Endpoints that fail",
            number_of("probe_success == 0"),
            text="Public endpoints whose readiness the monitoring host cannot read.",
            steps=worse_above(1),
            width=3,
        ),
        stat("Alerts firing", number_of(firing), text="Without Watchdog and drills.", steps=worse_above(1), width=3),
        stat("Requests", rate(REQUESTS), unit="reqps", width=3),
        stat(
            "Errors",
            error_ratio(),
            unit="percentunit",
            text=f"Answers of 500 and above among all. {NO_TRAFFIC}",
            steps=worse_above(limits["error_ratio"], limits["error_ratio"] / 5),
            width=3,
        ),
        stat(
            "Latency p95",
            latency(0.95),
            unit="s",
            text=NO_TRAFFIC,
            steps=worse_above(limits["latency_p95_s"], limits["latency_p95_s"] / 2),
            width=3,
        ),
        stat("Agents", "max(ai_mesh_agents_total)", text="Registered in this mesh, without the harness's.", width=3),
    )


def _traffic(plan: Plan) -> tuple[Panel, ...]:
    limits = plan["thresholds"]
    return (
        Panel(
            "Requests by service",
            (Query(rate(REQUESTS, "service"), "{{service}}"),),
            unit="reqps",
            stacked=True,
            minimum=0,
        ),
        Panel(
            "Errors by service",
            (Query(error_ratio("service"), "{{service}}"),),
            unit="percentunit",
            text=f"Answers of 500 and above. {NO_TRAFFIC}",
            steps=worse_above(limits["error_ratio"]),
            minimum=0,
        ),
        Panel(
            "Latency p95 by service",
            (Query(latency(0.95, "service"), "{{service}}"),),
            unit="s",
            text=NO_TRAFFIC,
            steps=worse_above(limits["latency_p95_s"]),
            minimum=0,
        ),
        Panel(
            "Prompts denied by policy",
            (Query(rate("ai_mesh_policy_violations_total"), "denied"),),
            unit="ops",
            minimum=0,
        ),
        Panel("Agents", (Query("max(ai_mesh_agents_total)", "agents"),), minimum=0),
        Panel("Event streams open", (Query("sum(ai_mesh_event_streams)", "streams"),), minimum=0),
    )


def _parts() -> tuple[Panel, ...]:
    return (
        Panel(
            "What is scraped",
            (Query('max by (job, instance, host, planned) (up{job=~"aimesh-.*"})'),),
            kind="table",
            text="A spare slot (planned: no) runs during updates only, so it is down most of the time.",
            mappings=UP_OR_DOWN,
            width=12,
            height=10,
        ),
        Panel(
            "Readiness of the public endpoints",
            (Query("probe_duration_seconds and probe_success == 1", "{{service}} {{instance}}"),),
            unit="s",
            text="Time of a probe that succeeded, asked from the monitoring host.",
            width=12,
            height=10,
            minimum=0,
        ),
        Panel(
            "Degraded",
            (
                Query("max(ai_mesh_rate_limit_local)", "rate limits per process, Redis does not serve"),
                Query("max(ai_mesh_policy_rules_stale)", "policy decides by older rules"),
            ),
            text="1 while a service does less than it should and still serves.",
            width=24,
            height=5,
            minimum=0,
            maximum=1,
        ),
    )

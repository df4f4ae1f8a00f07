"""Alerts, and whether the monitoring itself can be trusted: a silent one looks like a healthy mesh."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.expressions import increase, rate
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import (
    YES_OR_NO,
    Dashboard,
    Panel,
    Query,
    Row,
    stat,
    worse_above,
    worse_below,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UID = "aimesh-alerts"
MB = 1024 * 1024
WATCHDOG_LATE_S, WATCHDOG_GONE_S = 120, 300
"""The Watchdog is routed so that it arrives every minute; from five on it alerts."""
WATCHDOG = "aimesh_alert_watchdog_received_timestamp_seconds"


def dashboard(plan: Plan) -> Dashboard:
    return Dashboard(
        uid=UID,
        title="Alerts and monitoring",
        text="What fires, whether it arrives, and whether the monitoring sees what it should.",
        rows=(
            Row("Alerts", _alerts()),
            Row("Do alerts arrive", _arrival()),
            Row("Does the monitoring see", _sight(plan)),
            Row("Prometheus", _prometheus(plan)),
        ),
    )


def _alerts() -> tuple[Panel, ...]:
    shown = "alertname, severity, service, instance, host"
    return (
        Panel(
            "Firing",
            (Query(f'max by ({shown}) (ALERTS{{alertstate="firing",severity!="none"}})'),),
            kind="table",
            text="Every alert has a runbook: docs/runbooks, by its name.",
            width=12,
            may_be_empty="nothing fires.",
        ),
        Panel(
            "Pending",
            (Query(f'max by ({shown}) (ALERTS{{alertstate="pending"}})'),),
            kind="table",
            text="The condition holds, not yet for as long as the alert waits.",
            width=12,
            may_be_empty="nothing is about to fire.",
        ),
    )


def _arrival() -> tuple[Panel, ...]:
    return (
        stat(
            "Watchdog last arrived",
            f"time() - max({WATCHDOG} > 0)",
            unit="s",
            text="Age of the last arrival of the alert that always fires. It is sent again every minute.",
            steps=worse_above(WATCHDOG_GONE_S, WATCHDOG_LATE_S),
            width=6,
        ),
        Panel(
            "Active at the alert receiver",
            (Query("sum by (severity) (aimesh_alert_active)", "{{severity}}"),),
            text="What the UI of the mesh shows.",
            width=6,
            height=4,
            minimum=0,
        ),
        Panel(
            "Arrivals in the last hour",
            (Query(increase("aimesh_alert_deliveries_total", "status", over="1h"), "{{status}}"),),
            width=6,
            height=4,
            minimum=0,
        ),
        Panel(
            "Notifications that failed",
            (Query(rate("alertmanager_notifications_failed_total", "integration"), "{{integration}}"),),
            text="By kind of receiver. The alert receiver is a webhook, too.",
            unit="ops",
            steps=worse_above(0.001),
            width=6,
            height=4,
            minimum=0,
        ),
    )


def _sight(plan: Plan) -> tuple[Panel, ...]:
    limits = plan["monitoring"]["thresholds"]
    return (
        Panel(
            "Targets up by job",
            (Query('sum by (job) (up{planned!="no"}) / count by (job) (up{planned!="no"})', "{{job}}"),),
            unit="percentunit",
            text="Without spare slots.",
            steps=worse_below(1),
            minimum=0,
            maximum=1,
        ),
        Panel(
            "Time of a scrape",
            (Query("max by (job) (scrape_duration_seconds)", "{{job}}"),),
            unit="s",
            text="A scrape has to be done well before the next one.",
            steps=worse_above(plan["monitoring"]["scrape_interval_s"]),
            minimum=0,
        ),
        Panel(
            "Exporters that could not read their part",
            (
                Query("max(pg_exporter_last_scrape_error)", "PostgreSQL"),
                Query("max(redis_exporter_last_scrape_error)", "Redis"),
                Query("max by (collector) (1 - node_scrape_collector_success) > 0 or vector(0)", "host {{collector}}"),
            ),
            text="1 while the exporter answers and has nothing to say.",
            steps=worse_above(1),
            minimum=0,
            maximum=1,
        ),
        Panel(
            "Certificates of the public endpoints",
            (Query("(probe_ssl_earliest_cert_expiry - time()) / 86400", "{{instance}}"),),
            unit="d",
            text="Days until the first certificate of the chain expires.",
            steps=worse_below(limits["certificate_critical_days"], limits["certificate_warning_days"]),
            width=24,
            height=5,
            may_be_empty="no public endpoint answers with TLS.",
        ),
    )


def _prometheus(plan: Plan) -> tuple[Panel, ...]:
    retention = plan["monitoring"]["retention_mb"] * MB
    return (
        stat(
            "Prometheus runs what is configured",
            "min(prometheus_config_last_reload_successful)",
            steps=worse_below(1),
            mappings=YES_OR_NO,
        ),
        stat(
            "Alertmanager runs what is configured",
            "min(alertmanager_config_last_reload_successful)",
            steps=worse_below(1),
            mappings=YES_OR_NO,
        ),
        stat(
            "Rules that failed, last hour",
            "sum(increase(prometheus_rule_evaluation_failures_total[1h]))",
            steps=worse_above(1),
            decimals=0,
        ),
        stat(
            "Alertmanagers in reach",
            "min(prometheus_notifications_alertmanagers_discovered)",
            steps=worse_below(1),
        ),
        stat(
            "Notifications waiting",
            "max(prometheus_notifications_queue_length / prometheus_notifications_queue_capacity)",
            unit="percentunit",
            steps=worse_above(0.5, 0.1),
        ),
        stat("Series", "sum(prometheus_tsdb_head_series)"),
        Panel(
            "Data on disk",
            (Query("sum by (instance) (prometheus_tsdb_storage_blocks_bytes)", "blocks"),),
            unit="bytes",
            text=f"Oldest blocks go above {retention // MB} MB.",
            steps=worse_above(retention),
            minimum=0,
        ),
        Panel(
            "Samples",
            (Query(rate("prometheus_tsdb_head_samples_appended_total"), "samples"),),
            unit="ops",
            minimum=0,
        ),
        Panel(
            "Time of a rule group",
            (Query("prometheus_rule_group_last_duration_seconds", "{{rule_group}}"),),
            unit="s",
            text="Longer than the evaluation interval, and evaluations are missed.",
            steps=worse_above(plan["monitoring"]["evaluation_interval_s"]),
            minimum=0,
        ),
    )

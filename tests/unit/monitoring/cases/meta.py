"""Monitoring of monitoring."""

from __future__ import annotations

from ..claims import MESH, Case, Series, fires, series, target, told

PROMETHEUS, ALERTMANAGER = target("prometheus"), target("alertmanager")
SUMMED = {name: value for name, value in PROMETHEUS.items() if name != "mesh"}
RULE_GROUP = {"rule_group": "/etc/aimesh/prometheus/rules.yml;aimesh-hosts"}
RELOADED = series("prometheus_config_last_reload_successful", PROMETHEUS)
AM_RELOADED = series("alertmanager_config_last_reload_successful", ALERTMANAGER)
UNREADABLE = series("prometheus_sd_file_read_errors_total", PROMETHEUS)
DROPPED = series("prometheus_notifications_dropped_total", PROMETHEUS)
RECEIVED = series("aimesh_alert_watchdog_received_timestamp_seconds", target("alert-receiver"))
STORAGE = (
    "checkpoint_creations_failed",
    "compactions_failed",
    "head_truncations_failed",
    "reloads_failures",
    "wal_corruptions",
    "wal_truncations_failed",
    "wal_writes_failed",
)


def failures(values: str) -> Series:
    labels = PROMETHEUS | RULE_GROUP
    return {series("prometheus_rule_evaluation_failures_total", labels): values}


def storage(**values: str) -> Series:
    return {series(f"prometheus_tsdb_{name}_total", PROMETHEUS): values.get(name, "0+0x400") for name in STORAGE}


def sent(failed: str, tried: str) -> Series:
    """To two Alertmanagers, of which one takes everything."""
    bad = PROMETHEUS | {"alertmanager": "http://127.0.0.1:9093/api/v2/alerts"}
    good = PROMETHEUS | {"alertmanager": "http://127.0.0.1:9094/api/v2/alerts"}
    return {
        series("prometheus_notifications_errors_total", bad): failed,
        series("prometheus_notifications_sent_total", bad): tried,
        series("prometheus_notifications_errors_total", good): "0+0x80",
        series("prometheus_notifications_sent_total", good): "0+1x80",
    }


def delivered(failed: str, tried: str) -> Series:
    """By one of two kinds of receivers."""
    slack, webhook = ALERTMANAGER | {"integration": "slack"}, ALERTMANAGER | {"integration": "webhook"}
    return {
        series("alertmanager_notification_requests_failed_total", slack): failed,
        series("alertmanager_notification_requests_total", slack): tried,
        series("alertmanager_notification_requests_failed_total", webhook): "0+0x80",
        series("alertmanager_notification_requests_total", webhook): "0+1x80",
    }


def queue(length: int) -> Series:
    return {
        series("prometheus_notifications_queue_length", PROMETHEUS): f"{length}+0x80",
        series("prometheus_notifications_queue_capacity", PROMETHEUS): "10000+0x80",
    }


def gauge(rule: str, severity: str, name: str, labels: dict[str, str], says: tuple[str, str]) -> list[Case]:
    """1 is good, 0 is not."""
    summary, description = says
    return [
        Case(
            rule,
            "it refused the new one",
            {name: "1+0x4 0+0x80"},
            "10m",
            fires(told(severity, labels), summary, description),
            not_yet="5m",
        ),
        Case(rule, "it took it", {name: "1+0x80"}, "10m"),
        Case(rule, "it does not answer", {}, "10m"),
    ]


CASES = [
    Case(
        "Watchdog",
        "always",
        {},
        "0s",
        fires(
            told("none", MESH, service="monitoring"),
            "Alerting works",
            "Mesh acme sends this all the time. Who stops receiving it knows that no other alert comes through.",
        ),
    ),
    Case(
        "PrometheusRuleFailures",
        "a group fails at each evaluation",
        failures("0+0.25x80"),
        "10m",
        fires(
            told("critical", PROMETHEUS | RULE_GROUP),
            "Prometheus cannot evaluate its rules",
            "5 evaluations of /etc/aimesh/prometheus/rules.yml;aimesh-hosts failed within 5m; alerts"
            " of that group may be missing.",
        ),
        not_yet="4m",
    ),
    Case("PrometheusRuleFailures", "it failed long ago", failures("7+0x80"), "15m"),
    Case("PrometheusRuleFailures", "Prometheus started anew", failures("7+0x20 0+0x60"), "9m"),
    Case("PrometheusRuleFailures", "Prometheus says nothing", {}, "10m"),
    *gauge(
        "PrometheusConfigReloadFailed",
        "warning",
        RELOADED,
        PROMETHEUS,
        (
            "Prometheus did not take its configuration",
            "It goes on with the one before; rules and targets that came since do not count.",
        ),
    ),
    Case(
        "PrometheusTargetFilesUnreadable",
        "a file is broken",
        {UNREADABLE: "0+0.25x80"},
        "15m",
        fires(
            told("warning", PROMETHEUS),
            "Prometheus cannot read its list of targets",
            "Reading a file of targets failed within 5m; it asks the targets it knew before.",
        ),
        not_yet="4m",
    ),
    Case("PrometheusTargetFilesUnreadable", "it was mended", {UNREADABLE: "7+0x80"}, "15m"),
    Case("PrometheusTargetFilesUnreadable", "Prometheus started anew", {UNREADABLE: "7+0x20 0+0x60"}, "9m"),
    Case("PrometheusTargetFilesUnreadable", "Prometheus says nothing", {}, "15m"),
    *(
        Case(
            "PrometheusTsdbFailures",
            f"{name} rises",
            storage(**{name: "0+0x20 4+0x380"}),
            "30m",
            fires(
                told("warning", PROMETHEUS),
                "Prometheus cannot keep its data",
                "4 operations of its storage failed within 1h: the disk is full or broken.",
            ),
            not_yet="9m",
        )
        for name in STORAGE
    ),
    Case("PrometheusTsdbFailures", "nothing fails", storage(), "30m"),
    Case(
        "PrometheusTsdbFailures",
        "it failed before Prometheus started",
        storage(compactions_failed="4+0x20 0+0x380"),
        "30m",
    ),
    Case("PrometheusTsdbFailures", "Prometheus says nothing", {}, "30m"),
    Case(
        "PrometheusNotificationsFailing",
        "one of two Alertmanagers takes nothing",
        sent("0+1x80", "0+1x80"),
        "15m",
        fires(
            told("critical", SUMMED),
            "Prometheus cannot send alerts to Alertmanager",
            "50% of the alerts that Prometheus sent within 5m were not taken.",
        ),
        not_yet="4m",
    ),
    Case("PrometheusNotificationsFailing", "one in a hundred was not taken", sent("0+0.02x80", "0+1x80"), "15m"),
    Case("PrometheusNotificationsFailing", "nothing is sent", sent("4+0x80", "4+0x80"), "15m"),
    Case("PrometheusNotificationsFailing", "Prometheus says nothing", {}, "15m"),
    Case(
        "PrometheusNotificationsDropped",
        "some are, all the time",
        {DROPPED: "0+0.25x80"},
        "15m",
        fires(
            told("critical", PROMETHEUS),
            "Prometheus drops alerts",
            "5 alerts were dropped within 5m, and nobody was told of them.",
        ),
        not_yet="4m",
    ),
    Case("PrometheusNotificationsDropped", "some were, long ago", {DROPPED: "7+0x80"}, "15m"),
    Case("PrometheusNotificationsDropped", "Prometheus started anew", {DROPPED: "7+0x20 0+0x60"}, "9m"),
    Case("PrometheusNotificationsDropped", "Prometheus says nothing", {}, "15m"),
    Case(
        "PrometheusNotificationQueueFilling",
        "nine tenths are taken",
        queue(9000),
        "10m",
        fires(
            told("warning", PROMETHEUS),
            "Prometheus' queue of alerts fills up",
            "90% of the queue are taken; alerts are dropped when it is full.",
        ),
        not_yet="4m",
    ),
    Case("PrometheusNotificationQueueFilling", "a tenth is taken", queue(1000), "10m"),
    Case("PrometheusNotificationQueueFilling", "Prometheus says nothing", {}, "10m"),
    *gauge(
        "AlertmanagerConfigReloadFailed",
        "critical",
        AM_RELOADED,
        ALERTMANAGER,
        (
            "Alertmanager did not take its configuration",
            "It goes on with the routes and receivers that it had before.",
        ),
    ),
    Case(
        "AlertmanagerNotificationsFailing",
        "half of the calls of Slack fail",
        delivered("0+0.5x80", "0+1x80"),
        "15m",
        fires(
            told("critical", {n: v for n, v in ALERTMANAGER.items() if n != "mesh"} | {"integration": "slack"}),
            "Alertmanager cannot deliver by slack",
            "50% of the attempts to deliver by slack within 5m failed.",
        ),
        not_yet="4m",
    ),
    Case("AlertmanagerNotificationsFailing", "one in fifty fails", delivered("0+0.02x80", "0+1x80"), "15m"),
    Case("AlertmanagerNotificationsFailing", "nobody is told anything", delivered("4+0x80", "4+0x80"), "15m"),
    Case("AlertmanagerNotificationsFailing", "Alertmanager says nothing", {}, "15m"),
    Case(
        "WatchdogNotReceived",
        "it came last ten minutes ago",
        {RECEIVED: "300+0x80"},
        "15m",
        fires(
            told("critical", target("alert-receiver")),
            "Alerts do not arrive",
            "The Watchdog has not reached the alert receiver for more than 5m. Whatever fires now may reach nobody.",
        ),
        not_yet="11m",
    ),
    Case(
        "WatchdogNotReceived",
        "it never came",
        {RECEIVED: "0+0x80"},
        "20m",
        fires(
            told("critical", target("alert-receiver")),
            "Alerts do not arrive",
            "The Watchdog has not reached the alert receiver for more than 5m. Whatever fires now may reach nobody.",
        ),
    ),
    Case("WatchdogNotReceived", "it comes each minute", {RECEIVED: "0+15x80"}, "15m"),
    Case("WatchdogNotReceived", "the receiver says nothing: that is AlertingDown", {}, "15m"),
]

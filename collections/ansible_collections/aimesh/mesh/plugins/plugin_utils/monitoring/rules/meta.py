"""Monitoring watches itself: does Prometheus evaluate, does Alertmanager deliver, does what it sends arrive."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import INSTANCE, Context, number
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import (
    CRITICAL,
    NONE,
    WARNING,
    Alert,
    Group,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import PREFIX

SERVICE = "monitoring"
FAILING_SHARE = 0.1
QUEUE_SHARE = 0.8
WATCHDOG_SILENCE = "5m"
"""It arrives every minute."""
STORAGE_FAILURES = (
    "prometheus_tsdb_checkpoint_creations_failed_total",
    "prometheus_tsdb_compactions_failed_total",
    "prometheus_tsdb_head_truncations_failed_total",
    "prometheus_tsdb_reloads_failures_total",
    "prometheus_tsdb_wal_corruptions_total",
    "prometheus_tsdb_wal_truncations_failed_total",
    "prometheus_tsdb_wal_writes_failed_total",
)


def watchdog(context: Context) -> Group:
    """Fires always, for a receiver that calls for help when it stops hearing it."""
    return Group(
        "watchdog",
        [
            Alert(
                "Watchdog",
                "vector(1)",
                None,
                NONE,
                SERVICE,
                "Alerting works",
                f"Mesh {context.mesh} sends this all the time. Who stops receiving it knows that no other alert comes "
                "through.",
            )
        ],
    )


def prometheus(context: Context) -> Group:
    rules, stored = context.window("5m"), context.window("1h")
    return Group(
        "prometheus",
        [
            Alert(
                "PrometheusRuleFailures",
                f"increase(prometheus_rule_evaluation_failures_total[{rules}]) >= 1",
                "5m",
                CRITICAL,
                SERVICE,
                "Prometheus cannot evaluate its rules",
                f"{{{{ $value | humanize }}}} evaluations of {{{{ $labels.rule_group }}}} failed within {rules}; "
                "alerts of that group may be missing.",
            ),
            Alert(
                "PrometheusConfigReloadFailed",
                "prometheus_config_last_reload_successful == 0",
                "5m",
                WARNING,
                SERVICE,
                "Prometheus did not take its configuration",
                "It goes on with the one before; rules and targets that came since do not count.",
            ),
            Alert(
                "PrometheusTargetFilesUnreadable",
                f"increase(prometheus_sd_file_read_errors_total[{rules}]) >= 1",
                "5m",
                WARNING,
                SERVICE,
                "Prometheus cannot read its list of targets",
                f"Reading a file of targets failed within {rules}; it asks the targets it knew before.",
            ),
            Alert(
                "PrometheusTsdbFailures",
                " + ".join(f"increase({metric}[{stored}])" for metric in STORAGE_FAILURES) + " >= 1",
                "5m",
                WARNING,
                SERVICE,
                "Prometheus cannot keep its data",
                f"{{{{ $value | humanize }}}} operations of its storage failed within {stored}: the disk is full or "
                "broken.",
            ),
        ],
    )


def alerting(context: Context) -> Group:
    return Group("alerting", [*_sending(context), *_delivering(context), _watchdog_not_received(context)])


def _sending(context: Context) -> list[Alert]:
    """From Prometheus to Alertmanager."""
    window = context.window("5m")
    failed = f"sum by ({INSTANCE}) (rate(prometheus_notifications_errors_total[{window}]))"
    sent = f"sum by ({INSTANCE}) (rate(prometheus_notifications_sent_total[{window}]))"
    return [
        Alert(
            "PrometheusNotificationsFailing",
            f"{failed} / {sent} > {number(FAILING_SHARE)}",
            "5m",
            CRITICAL,
            SERVICE,
            "Prometheus cannot send alerts to Alertmanager",
            f"{{{{ $value | humanizePercentage }}}} of the alerts that Prometheus sent within {window} were not taken.",
        ),
        Alert(
            "PrometheusNotificationsDropped",
            f"increase(prometheus_notifications_dropped_total[{window}]) >= 1",
            "5m",
            CRITICAL,
            SERVICE,
            "Prometheus drops alerts",
            f"{{{{ $value | humanize }}}} alerts were dropped within {window}, and nobody was told of them.",
        ),
        Alert(
            "PrometheusNotificationQueueFilling",
            f"prometheus_notifications_queue_length / prometheus_notifications_queue_capacity > {number(QUEUE_SHARE)}",
            "5m",
            WARNING,
            SERVICE,
            "Prometheus' queue of alerts fills up",
            "{{ $value | humanizePercentage }} of the queue are taken; alerts are dropped when it is full.",
        ),
    ]


def _delivering(context: Context) -> list[Alert]:
    """From Alertmanager to those who are to be told. It counts attempts, so that this shows before it gives one up."""
    window, labels = context.window("5m"), f"{INSTANCE}, integration"
    failed = f"sum by ({labels}) (rate(alertmanager_notification_requests_failed_total[{window}]))"
    tried = f"sum by ({labels}) (rate(alertmanager_notification_requests_total[{window}]))"
    return [
        Alert(
            "AlertmanagerConfigReloadFailed",
            "alertmanager_config_last_reload_successful == 0",
            "5m",
            CRITICAL,
            SERVICE,
            "Alertmanager did not take its configuration",
            "It goes on with the routes and receivers that it had before.",
        ),
        Alert(
            "AlertmanagerNotificationsFailing",
            f"{failed} / {tried} > {number(FAILING_SHARE)}",
            "5m",
            CRITICAL,
            SERVICE,
            "Alertmanager cannot deliver by {{ $labels.integration }}",
            f"{{{{ $value | humanizePercentage }}}} of the attempts to deliver by {{{{ $labels.integration }}}} within "
            f"{window} failed.",
        ),
    ]


def _watchdog_not_received(context: Context) -> Alert:
    """The receiver says 0 until it has seen one, which is long enough ago."""
    received = f'aimesh_alert_watchdog_received_timestamp_seconds{{job="{PREFIX}alert-receiver"}}'
    return Alert(
        "WatchdogNotReceived",
        f"time() - {received} > {context.seconds(WATCHDOG_SILENCE)}",
        "2m",
        CRITICAL,
        SERVICE,
        "Alerts do not arrive",
        f"The Watchdog has not reached the alert receiver for more than {context.window(WATCHDOG_SILENCE)}. Whatever "
        "fires now may reach nobody.",
    )

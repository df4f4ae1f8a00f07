"""What the other rules see with: without an exporter they are silent, whatever happens."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import Context
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import (
    CRITICAL,
    OF_SERIES,
    WARNING,
    Alert,
    Group,
)

Target = tuple[str, str, str]
"""(job, host, service)"""
WATCHING = ("node-exporter", "postgres-exporter", "redis-exporter", "blackbox-exporter")
ALERTING = ("prometheus", "alertmanager", "alert-receiver")


def group(context: Context) -> Group:
    return Group(
        "monitoring-parts",
        [
            Alert(
                "ExporterDown",
                _down([*context.parts(*WATCHING), *context.backups()], context.probes()),
                "2m",
                WARNING,
                OF_SERIES,
                "{{ $labels.job }} of {{ $labels.host }} does not answer",
                f"Nobody has watched {{{{ $labels.service }}}} on {{{{ $labels.host }}}} for {context.window('2m')}: "
                "its alerts stay silent, whatever happens.",
            ),
            Alert(
                "AlertingDown",
                _down(context.parts(*ALERTING), []),
                "2m",
                CRITICAL,
                OF_SERIES,
                "{{ $labels.job }} does not answer",
                f"{{{{ $labels.job }}}} has not answered for {context.window('2m')}; alerts may reach nobody.",
            ),
        ],
    )


def _down(answering: list[Target], known: list[Target]) -> str:
    """One of `answering` that does not answer, or one of both that Prometheus does not know."""
    jobs = "|".join(dict.fromkeys(job for job, _, _ in answering))
    absent = [
        f'absent(up{{job="{job}", host="{host}", service="{service}"}})'
        for job, host, service in dict.fromkeys([*answering, *known])
    ]
    return "\nor ".join([f'up{{job=~"{jobs}"}} == 0', *dict.fromkeys(absent)])

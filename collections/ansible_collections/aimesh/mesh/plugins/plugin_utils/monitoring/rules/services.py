"""The mesh's own services: there, enough of them, reachable from outside, without errors, fast."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.burn_rates import ratio, requests
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import (
    Context,
    number,
    percent,
    service_of_job,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import (
    CRITICAL,
    OF_SERIES,
    WARNING,
    Alert,
    Group,
    Recording,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import PREFIX, PROBE

P95 = "service:ai_mesh_latency_seconds:p95_rate5m"
HIGH_ERROR_RATE, ERROR_WINDOW = "HighErrorRate", "5m"


def group(context: Context) -> Group:
    probes = [_probe_failed(context)] if context.probed_urls else []
    return Group(
        "services",
        [
            _service_down(context),
            _replica_missing(context),
            *probes,
            _high_error_rate(context),
            Recording(
                P95,
                "histogram_quantile(0.95, sum by (le, job, service) "
                f"(rate(ai_mesh_latency_seconds_bucket[{context.window('5m')}])))\n"
                f"and on (job, service) {requests('5m')} > 0",
            ),
            _high_latency(context),
        ],
    )


def _service_down(context: Context) -> Alert:
    """Not one replica answers, or Prometheus knows no target of a planned service at all."""
    absent = "\n".join(f'or absent(up{{job="{PREFIX}{service}"}})' for service in context.services)
    return Alert(
        "ServiceDown",
        service_of_job(f"sum by (job) (up{{{context.service_jobs}}}) == 0\n{absent}"),
        "2m",
        CRITICAL,
        OF_SERIES,
        "{{ $labels.service }} is down",
        f"No replica of {{{{ $labels.service }}}} in mesh {context.mesh} has answered Prometheus for "
        f"{context.window('2m')}.",
    )


def _replica_missing(context: Context) -> Alert:
    """A slot that replaces another one during an update counts; how many are planned, only the targets say.

    Where Prometheus finds its targets itself, one that is gone is no target any more: then the plan's number counts.
    """
    jobs = context.service_jobs
    listed = f'(sum by (job) (up{{{jobs}}}) > 0)\n< on (job) count by (job) (up{{{jobs}, planned="yes"}})'
    numbers = context.discovered_replicas()
    found = "\nor ".join(f'((sum by (job) (up{{job="{job}"}}) > 0) < {number(n)})' for job, n in numbers.items())
    return Alert(
        "ReplicaMissing",
        service_of_job(found or listed),
        "5m",
        WARNING,
        OF_SERIES,
        "{{ $labels.service }} has fewer replicas than planned",
        f"Only {{{{ $value }}}} of the planned replicas of {{{{ $labels.service }}}} in mesh {context.mesh} have "
        f"answered Prometheus for {context.window('5m')}.",
    )


def _probe_failed(context: Context) -> Alert:
    return Alert(
        "ProbeFailed",
        f'probe_success{{job="{PROBE}"}} == 0',
        "2m",
        CRITICAL,
        OF_SERIES,
        "{{ $labels.service }} cannot be reached at {{ $labels.instance }}",
        f"A call through the front door of {{{{ $labels.service }}}} has failed for {context.window('2m')}, "
        "whatever its replicas say of themselves.",
    )


def _high_error_rate(context: Context) -> Alert:
    limit = context.plan["thresholds"]["error_ratio"]
    return Alert(
        HIGH_ERROR_RATE,
        f"{ratio(ERROR_WINDOW)} > {number(limit)}\n"
        f"and on (job, service) {context.several(requests(ERROR_WINDOW), ERROR_WINDOW)}",
        "5m",
        CRITICAL,
        OF_SERIES,
        "{{ $labels.service }} fails {{ $value | humanizePercentage }} of its requests",
        "The error rate of {{ $labels.service }} over "
        f"{context.window(ERROR_WINDOW)} is {{{{ $value | humanizePercentage }}}}; the limit is {percent(limit)}.",
    )


def _high_latency(context: Context) -> Alert:
    limit = context.plan["thresholds"]["latency_p95_s"]
    return Alert(
        "HighLatencyP95",
        f"{P95} > {number(limit)}\nand on (job, service) {context.several(requests('5m'), '5m')}",
        "10m",
        WARNING,
        OF_SERIES,
        "{{ $labels.service }} is slow",
        "One in twenty requests to {{ $labels.service }} takes longer than {{ $value | humanizeDuration }}; "
        f"the limit is {number(limit)}s.",
    )

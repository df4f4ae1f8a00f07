"""Certificates of the public endpoints, as callers are shown them."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import Context, number
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import (
    CRITICAL,
    OF_SERIES,
    WARNING,
    Alert,
    Group,
)

LEFT = "probe_ssl_earliest_cert_expiry - time()"
DAY = 86400


def group(context: Context) -> Group:
    """None where no endpoint speaks TLS. The earlier alert ends where the later one begins."""
    if not any(url.startswith("https:") for url in context.probed_urls):
        return Group("certificates", [])
    soon = context.threshold("certificate_warning_days")
    now = context.threshold("certificate_critical_days")
    later = f"({LEFT} < {number(soon * DAY)}) >= {number(now * DAY)}"
    return Group(
        "certificates",
        [
            _expiry("CertExpirySoon", later, WARNING, soon),
            _expiry("CertExpiryImminent", f"{LEFT} < {number(now * DAY)}", CRITICAL, now),
        ],
    )


def _expiry(name: str, expr: str, severity: str, days: float) -> Alert:
    return Alert(
        name,
        expr,
        "1h",
        severity,
        OF_SERIES,
        "The certificate of {{ $labels.instance }} expires in {{ $value | humanizeDuration }}",
        f"Fewer than {number(days)} days are left. After that no caller trusts {{{{ $labels.service }}}}.",
    )

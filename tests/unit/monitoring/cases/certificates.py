"""Certificates."""

from __future__ import annotations

from ..claims import Case, Series, fires, series, target, told

UI = target("probe")
SLOW = {"step": "5m", "every": "5m"}
HOUR, DAY = 3600, 86400


def left(days: int) -> Series:
    """Of a certificate with so many days left after two hours."""
    return {series("probe_ssl_earliest_cert_expiry", UI): f"{2 * HOUR + days * DAY}+0x40"}


CASES = [
    Case(
        "CertExpirySoon",
        "two weeks are left",
        left(14),
        "2h",
        fires(
            told("warning", UI),
            "The certificate of https://192.0.2.10:3005/health/ready expires in 14d 0h 0m 0s",
            "Fewer than 21 days are left. After that no caller trusts ui.",
        ),
        not_yet="50m",
        **SLOW,
    ),
    Case("CertExpirySoon", "a month is left", left(30), "2h", **SLOW),
    Case("CertExpirySoon", "five days are left: that is CertExpiryImminent", left(5), "2h", **SLOW),
    Case("CertExpirySoon", "the front door is closed", {}, "2h", **SLOW),
    Case(
        "CertExpiryImminent",
        "three days are left",
        left(3),
        "2h",
        fires(
            told("critical", UI),
            "The certificate of https://192.0.2.10:3005/health/ready expires in 3d 0h 0m 0s",
            "Fewer than 7 days are left. After that no caller trusts ui.",
        ),
        not_yet="50m",
        **SLOW,
    ),
    Case("CertExpiryImminent", "two weeks are left", left(14), "2h", **SLOW),
    Case("CertExpiryImminent", "the front door is closed", {}, "2h", **SLOW),
]

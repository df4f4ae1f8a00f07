"""Policy: denials, and old rules."""

from __future__ import annotations

from ..claims import Case, Series, fires, series, slot, told

POLICY = {"job": "aimesh-policy", "service": "policy"}
STALE = series("ai_mesh_policy_rules_stale", slot("policy@a"))
DAY = 288
"""Steps of five minutes."""
SLOW = {"step": "5m", "every": "5m"}


def denied(usual: float, now: float) -> Series:
    """Denials of five minutes, by two slots alike: for a day, and then for an hour."""
    one = f"0+{usual / 2:g}x{DAY} {usual / 2 * DAY + now / 2:g}+{now / 2:g}x12"
    return {
        series("ai_mesh_policy_violations_total", slot(name, service="policy")): one
        for name in ("policy@a", "policy@b")
    }


def denial(says: str, found: Series, at: str = "24h30m") -> Case:
    return Case("PolicyViolationsHigh", says, found, at, **SLOW)


CASES = [
    Case(
        "PolicyViolationsHigh",
        "ten times as many as usual",
        denied(1, 10),
        "24h30m",
        fires(
            told("ticket", POLICY),
            "Policy denies unusually many prompts",
            "policy denies 33.33m prompts a second, more than 5 times as many as over the 1d before.",
        ),
        not_yet="24h10m",
        **SLOW,
    ),
    denial("twice as many as usual", denied(50, 100)),
    denial("ten times as many as usual, and yet few", denied(0.5, 5)),
    denial("none", denied(0, 0)),
    denial("policy has just started, and nobody knows what is usual", denied(50, 50), "10m"),
    denial("there is no service", {}),
    Case(
        "PolicyRulesStale",
        "policy cannot read its rules",
        {STALE: "1+0x80"},
        "10m",
        fires(
            told("warning", {"host": "vm1", "instance": "policy@a", "job": "aimesh-policy"}, service="policy"),
            "policy@a decides by old rules",
            "policy@a has not been able to read its rules for 5m, and goes on with those it has.",
        ),
        not_yet="4m",
    ),
    Case("PolicyRulesStale", "it reads them", {STALE: "0+0x80"}, "10m"),
    Case("PolicyRulesStale", "there is no service", {}, "10m"),
]

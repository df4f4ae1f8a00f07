"""Policy: many denials at once, and decisions by rules that are no longer read."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import Context, number
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import (
    OF_SERIES,
    TICKET,
    WARNING,
    Alert,
    Group,
)

DENIALS_FACTOR = 5
"""Denied prompts are daily business of a policy; this many times as many as usual are not."""


def group(context: Context) -> Group:
    return Group("policy", [_violations_high(context), _rules_stale(context)])


def _violations_high(context: Context) -> Alert:
    now, usual = context.window("15m"), context.window("1d")
    denied = f"sum by (job, service) (rate(ai_mesh_policy_violations_total[{now}]))"
    before = f"sum by (job, service) (rate(ai_mesh_policy_violations_total[{usual}] offset {now}))"
    return Alert(
        "PolicyViolationsHigh",
        f"{denied} > {number(DENIALS_FACTOR)} * {before}\nand on (job, service) {context.several(denied, '15m')}",
        "5m",
        TICKET,
        OF_SERIES,
        "Policy denies unusually many prompts",
        f"{{{{ $labels.service }}}} denies {{{{ $value | humanize }}}} prompts a second, more than {DENIALS_FACTOR} "
        f"times as many as over the {usual} before.",
    )


def _rules_stale(context: Context) -> Alert:
    return Alert(
        "PolicyRulesStale",
        "max by (job, host, instance) (ai_mesh_policy_rules_stale) == 1",
        "5m",
        WARNING,
        "policy",
        "{{ $labels.instance }} decides by old rules",
        f"{{{{ $labels.instance }}}} has not been able to read its rules for {context.window('5m')}, and goes on with "
        "those it has.",
    )

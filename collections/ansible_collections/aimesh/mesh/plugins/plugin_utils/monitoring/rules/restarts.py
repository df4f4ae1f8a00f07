"""Processes that start again and again: up whenever somebody looks, and of little use."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import (
    INSTANCE,
    Context,
    number,
    service_of_job,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import OF_SERIES, WARNING, Alert, Group
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import PREFIX

RESTARTS = 3
FLAPS = 5
"""An update takes a slot away and brings it back: two changes of `up`."""


def group(context: Context) -> Group:
    """Services of the mesh do not say when they started, so theirs show where counters begin anew or `up` changes."""
    window = context.window("15m")
    arms = (
        f'changes(process_start_time_seconds{{job=~"{PREFIX}.+"}}[{window}]) > {number(RESTARTS)}',
        f"resets(redis_uptime_in_seconds[{window}]) > {number(RESTARTS)}",
        f"max by ({INSTANCE}) (resets(ai_mesh_requests_total[{window}])) > {number(RESTARTS)}",
        f"{service_of_job(f'changes(up{{{context.service_jobs}}}[{window}]) > {number(FLAPS)}')}",
    )
    return Group(
        "restarts",
        [
            Alert(
                "RestartLoop",
                "\nor ".join(arms),
                None,
                WARNING,
                OF_SERIES,
                "{{ $labels.instance }} starts again and again",
                f"{{{{ $labels.instance }}}} went down or started {{{{ $value }}}} times within {window}.",
            )
        ],
    )

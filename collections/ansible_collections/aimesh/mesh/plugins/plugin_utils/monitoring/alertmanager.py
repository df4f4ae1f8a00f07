"""The plan → Alertmanager's configuration, with its secrets by name. Both Alertmanager 0.25 and 0.28 take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import config, credential_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.durations import duration
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.messages import message_templates
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.receivers import all_receivers
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.routes import inhibitions, route_tree
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.secret_text import secret_text
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

RESOLVE_TIMEOUT_S = 300
"""For alerts that come without an end, as those posted by hand; Prometheus always gives one."""


@dataclass(frozen=True)
class AlertmanagerConfig:
    """What `File(path, inline=…, secrets=…)` takes."""

    inline: str
    secrets: tuple[str, ...]


def alertmanager_config(
    plan: Plan, *, scale: float = 1.0, templates: str | None = None, tls_file: str | None = None
) -> AlertmanagerConfig:
    """Alertmanager's configuration.

    scale      multiplies every duration (none gets shorter than a second); a drill uses 1/60
    templates  where Alertmanager sees the message templates; default: where `alertmanager_files` puts them
    tls_file   where it sees `metrics_tls`, should the alert receiver listen with TLS; default: the credentials' folder
    """
    document = alertmanager_document(
        plan,
        scale=scale,
        templates=templates or config(plan, "alertmanager", "templates", "*.tmpl"),
        tls_file=tls_file or credential_path(plan, "metrics_tls"),
    )
    inline, secrets = secret_text(document)
    return AlertmanagerConfig(inline, secrets)


def alertmanager_document(plan: Plan, *, scale: float, templates: str, tls_file: str) -> dict[str, Any]:
    """The configuration as data, with `Secret` where a secret goes."""
    alerting = plan["monitoring"]["alerting"]
    return {
        "global": {"resolve_timeout": duration(RESOLVE_TIMEOUT_S, scale)},
        "templates": [templates],
        "route": route_tree(alerting, scale),
        "inhibit_rules": inhibitions(),
        "receivers": all_receivers(plan, tls_file),
    }


def alertmanager_files(
    plan: Plan, *, group: str, scale: float = 1.0, validate: tuple[str, ...] = ()
) -> tuple[File, File]:
    """Message templates and configuration, in this order, readable by Alertmanager's `group`.

    `validate` is the command that looks at the configuration on the host, as `("amtool", "check-config", "{path}")`.
    """
    made = alertmanager_config(plan, scale=scale)
    return (
        File(config(plan, "alertmanager", "templates", "aimesh.tmpl"), text=message_templates(plan)),
        File(
            config(plan, "alertmanager", "alertmanager.yml"),
            inline=made.inline,
            secrets=made.secrets,
            group=group,
            mode="0640",
            validate=validate,
        ),
    )

"""Alertmanager's receivers: how each kind of the plan is told, and the two that every mesh has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.secret_text import Secret, go_literal
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import part_of, reached
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, endpoints_of

LEDGER = "aimesh-ledger"
"""The mesh's own record of alerts; the prefix `aimesh-` is not for receivers of the inventory."""
NULL = "aimesh-null"
"""Tells nobody."""
TOKEN = "alert_token"  # noqa: S105  # a secret's name
TLS_NAME = "aimesh-metrics"
"""Name in the certificate of the parts that listen beyond their host."""
SMTPS_PORT = "465"
"""RFC 8314: TLS from the first byte, so no STARTTLS is offered."""

Receiver = dict[str, Any]


def all_receivers(plan: Plan, tls_file: str) -> list[Receiver]:
    """The ledger, the null receiver and those of the plan, as Alertmanager's `receivers`."""
    given = plan["monitoring"]["alerting"]["receivers"]
    own: list[Receiver] = [{"name": LEDGER, "webhook_configs": [_ledger(plan, tls_file)]}, {"name": NULL}]
    return own + [_receiver(plan, receiver) for receiver in given]


def _receiver(plan: Plan, receiver: Receiver) -> Receiver:
    section, configuration = KINDS[receiver["kind"]]
    return {"name": receiver["name"], section: [{"send_resolved": True} | configuration(plan, receiver)]}


def _ledger(plan: Plan, tls_file: str) -> dict[str, Any]:
    part = part_of(plan, "alert-receiver")
    http: dict[str, Any] = {
        "authorization": {"type": "Bearer", "credentials": Secret(TOKEN)},
        # The token goes to this address and nowhere else.
        "follow_redirects": False,
    }
    if part["tls"]:
        http["tls_config"] = {
            "ca_file": tls_file,
            "cert_file": tls_file,
            "key_file": tls_file,
            "server_name": TLS_NAME,
        }
    scheme = "https" if part["tls"] else "http"
    return {
        "url": f"{scheme}://{reached(plan, part)}/webhook",
        "send_resolved": True,
        "max_alerts": 0,
        "http_config": http,
    }


def _slack(_plan: Plan, receiver: Receiver) -> dict[str, Any]:
    return {
        "api_url": Secret(receiver["secret"]),
        "channel": go_literal(receiver["channel"]),
        "username": _called("aimesh.name"),
        "color": _called("aimesh.slack.color"),
        "title": _called("aimesh.title"),
        "title_link": _called("aimesh.runbook"),
        "fallback": _called("aimesh.title"),
        "text": _called("aimesh.slack.text"),
        "fields": [
            {"title": "Severity", "value": _called("aimesh.severity"), "short": True},
            {"title": "Service", "value": _called("aimesh.service"), "short": True},
            {"title": "Mesh", "value": _called("aimesh.mesh"), "short": True},
        ],
    }


def _pagerduty(plan: Plan, receiver: Receiver) -> dict[str, Any]:
    url = {"url": receiver["url"]} if receiver.get("url") else {}
    pages = endpoints_of(plan, "ui")
    return url | {
        "routing_key": Secret(receiver["secret"], go_template=True),
        "description": _called("aimesh.headline"),
        "severity": _called("aimesh.pagerduty.severity"),
        # Alertmanager 0.25 has no field of its own for the source, and sends the client.
        "client": _called("aimesh.name"),
        "client_url": go_literal(pages[0]["url"]) if pages else "",
        "class": "{{ .CommonLabels.alertname }}",
        "component": _called("aimesh.service"),
        "group": _called("aimesh.mesh"),
        "details": {
            "mesh": _called("aimesh.mesh"),
            "severity": _called("aimesh.severity"),
            "service": _called("aimesh.service"),
            "alerts": _called("aimesh.text"),
            "runbook": _called("aimesh.runbook"),
        },
        "links": [{"href": _called("aimesh.runbook"), "text": "Runbook"}],
    }


def _email(plan: Plan, receiver: Receiver) -> dict[str, Any]:
    port = receiver["smarthost"].rpartition(":")[2]
    login = {}
    if receiver.get("username"):
        login = {"auth_username": receiver["username"], "auth_password": Secret(receiver["secret"])}
    return login | {
        "to": go_literal(", ".join(receiver["to"])),
        "from": go_literal(receiver["from"]),
        "smarthost": receiver["smarthost"],
        "hello": plan["mesh"]["domain"] or "localhost",
        "require_tls": receiver.get("require_tls", True) and port != SMTPS_PORT,
        "headers": {"Subject": _called("aimesh.title")},
        "html": _called("aimesh.email.html"),
        "text": _called("aimesh.text"),
    }


def _webhook(_plan: Plan, receiver: Receiver) -> dict[str, Any]:
    return {"url": Secret(receiver["secret"])}


def _called(template: str) -> str:
    """The text that Alertmanager replaces by a template of `messages.tmpl`."""
    return '{{ template "' + template + '" . }}'


KINDS: dict[str, tuple[str, Callable[[Plan, Receiver], dict[str, Any]]]] = {
    "slack": ("slack_configs", _slack),
    "pagerduty": ("pagerduty_configs", _pagerduty),
    "email": ("email_configs", _email),
    "webhook": ("webhook_configs", _webhook),
}

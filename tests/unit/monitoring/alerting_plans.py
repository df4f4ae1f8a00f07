"""Plans of a small mesh with the alerting that a test wants, and Alertmanager's files for them."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.alertmanager import alertmanager_config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.messages import message_templates
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import render_files
from monitoring_tools import tool

SMALL = json.loads((Path(__file__).parents[2] / "fixtures/plan_small.json").read_text())
SUITES = ("bookworm", "trixie")
"""Debian 12 has Alertmanager 0.25, Debian 13 has 0.28."""

SLACK = {"name": "ops-slack", "kind": "slack", "channel": "#ops", "secret": "receiver_ops_slack"}
PAGER = {"name": "pager", "kind": "pagerduty", "secret": "receiver_pager"}
MAIL = {
    "name": "mail",
    "kind": "email",
    "to": ["ops@acme.example", "second@acme.example"],
    "from": "mesh@acme.example",
    "smarthost": "mail.acme.example:587",
    "username": "mesh",
    "secret": "receiver_mail",
}
HOOK = {"name": "hook", "kind": "webhook", "secret": "receiver_hook"}
LIFELINE = {"name": "lifeline", "kind": "webhook", "secret": "receiver_lifeline"}
EACH_KIND = {"slack": SLACK, "pagerduty": PAGER, "email": MAIL, "webhook": HOOK}

VALUES = {
    "alert_token": "token-of-the-ledger",
    "receiver_ops_slack": "https://hooks.slack.example/services/T0/B0/xyz",
    "receiver_pager": "0123456789abcdef0123456789abcdef",
    "receiver_mail": "password",
    "receiver_hook": "https://hook.acme.example/aimesh?key=1",
    "receiver_lifeline": "https://lifeline.example/ping",
}


def route(receiver: str, severities: tuple[str, ...] = (), teams: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"receiver": receiver, "severities": list(severities), "teams": list(teams)}


def plan_with(
    *receivers: dict[str, Any],
    routes: tuple[dict[str, Any], ...] = (),
    deadman: str | None = None,
    ledger: str = "127.0.0.1:9096",
    tls: bool = False,
) -> dict[str, Any]:
    plan = copy.deepcopy(SMALL)
    plan["monitoring"] = {
        "host": "vm1",
        "parts": [
            _part("alert-receiver", ledger, tls),
            _part("alertmanager", "127.0.0.1:9093", False),
        ],
        "alerting": {
            "runbook_url": "https://acme.example/docs/runbooks",
            "group_wait_s": 30,
            "group_interval_s": 300,
            "repeat_interval_s": 14400,
            "teams": {},
            "receivers": [dict(receiver) for receiver in receivers],
            "routes": list(routes),
            "deadman": deadman,
        },
    }
    plan["secrets"] |= {
        name: {"store": "vault", "name": name, "version": 1, "fingerprint": "00112233445566cc"} for name in VALUES
    }
    return plan


def _part(name: str, address: str, tls: bool) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    where = {"host": "vm1", "bind": host, "port": int(port), "address": address}
    return {"part": name, **where, "unit": f"aimesh-{name}", "memory_mb": 64, "tls": tls}


def written(plan: dict[str, Any], folder: Path, values: dict[str, str] | None = None, scale: float = 1.0) -> Path:
    """Alertmanager's configuration with its templates in a folder, filled as a deploy fills it."""
    made = alertmanager_config(plan, scale=scale, templates=str(folder / "*.tmpl"))
    file = File("alertmanager.yml", inline=made.inline, secrets=made.secrets)
    content = render_files([file], plan, "vm1", None, VALUES | (values or {}))[0].content
    assert content is not None
    (folder / "aimesh.tmpl").write_text(message_templates(plan))
    path = folder / "alertmanager.yml"
    path.write_text(content)
    return path


def amtool(*arguments: str, suite: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(tool("amtool", suite)), *arguments]
    return subprocess.run(command, text=True, capture_output=True, check=False)


def receivers_for(path: Path, labels: dict[str, str], suite: str | None = None) -> list[str]:
    """Receivers of an alert with these labels, in order, as amtool says."""
    pairs = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items()]
    done = amtool("config", "routes", "test", f"--config.file={path}", *pairs, suite=suite)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split(",")

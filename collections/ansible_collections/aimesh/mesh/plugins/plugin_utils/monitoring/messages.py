"""Alertmanager's message templates: what a person reads."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

TEMPLATES = Path(__file__).with_name("messages.tmpl")


def message_templates(plan: Plan) -> str:
    """`messages.tmpl`, and what only the plan knows: the mesh's name and where runbooks are."""
    runbooks = plan["monitoring"]["alerting"]["runbook_url"]
    return TEMPLATES.read_text(encoding="utf-8") + "".join(
        f'{{{{ define "{name}" }}}}{{{{ {_go_string(text)} }}}}{{{{ end }}}}\n'
        for name, text in (("aimesh.mesh", plan["mesh"]["name"]), ("aimesh.runbooks", runbooks))
    )


def _go_string(text: str) -> str:
    """Every JSON string is a Go string, as long as characters beyond the first plane stay as they are."""
    return json.dumps(text, ensure_ascii=False)

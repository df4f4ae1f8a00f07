"""Files that the mesh app reads on a host, the same on every platform that runs it there: credentials, documents."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import (
    TOKEN_SUBJECTS,
    TOKENS,
    Locations,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import config, credential_path
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

TOKENS_TEMPLATE = """\
[
{% for subject in vars.subjects %}
  {"subject": "{{ subject }}", "role": "{{ subject }}", "sha256": "{{ secrets[subject ~ '_token'] | sha256 }}"}\
{{ '' if loop.last else ',' }}
{% endfor %}
]
"""
DOCUMENTS = {"policy": "policy", "federation": "peers", "registry": "mcp_servers"}
"""Service → the document of `Locations` that it loads."""


def credential_file(plan: Plan, name: str, owner: str = "root", mode: str = "0600") -> File:
    """The file with one credential."""
    path = credential_path(plan, name)
    if name == TOKENS:
        return File(
            path,
            inline=TOKENS_TEMPLATE,
            vars={"subjects": TOKEN_SUBJECTS},
            secrets=tuple(f"{subject}_token" for subject in TOKEN_SUBJECTS),
            owner=owner,
            group=owner,
            mode=mode,
        )
    return File(path, inline=f"{{{{ secrets.{name} }}}}", secrets=(name,), owner=owner, group=owner, mode=mode)


def locations(plan: Plan, credential: Callable[[str], str]) -> Locations:
    """Where processes find what they read, given how they see a credential's path."""
    return Locations(
        credential,
        policy=config(plan, "policy.json"),
        peers=config(plan, "peers.json"),
        mcp_servers=config(plan, "mcp_registry.json"),
    )


def documents(plan: Plan) -> list[File]:
    """What the services are told beyond their environment."""
    where = locations(plan, str)
    return [
        File(where.policy, inline="{{ plan.policy | to_json(2) }}\n"),
        File(where.peers, inline="{{ plan.federation.peers | to_json(2) }}\n"),
        File(where.mcp_servers, inline="{{ plan.registry.mcp_servers | to_json(2) }}\n"),
    ]


def loaded_documents(plan: Plan, service: str) -> list[str]:
    """Paths of the documents that a service loads."""
    where = locations(plan, str)
    return [getattr(where, DOCUMENTS[service])] if service in DOCUMENTS else []

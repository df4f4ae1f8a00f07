"""A2A agent cards, version 1.0 of the protocol (a2aproject/A2A, specification/a2a.proto, message AgentCard)."""

from __future__ import annotations

from typing import Any

from mesh.core.settings import Settings
from mesh.web.problem import ProblemError

PROTOCOL_VERSION = "1.0"
_BINDING_TAG = "a2a:"
_TEXT = ["text/plain", "application/json"]
_MESH_SKILLS = (
    ("find-agents", "Find agents", "Lists and searches the agents registered here.", "/api/v1/agents"),
    ("evaluate-prompt", "Evaluate a prompt", "Decides by policy: allow, deny or redact.", "/api/v1/evaluate"),
    ("record-metrics", "Record metrics", "Stores and aggregates what agents measure.", "/api/v1/metrics"),
)


def agent_card(row: Any) -> dict[str, Any]:
    """The card of a registered agent. Raises ProblemError 404 without an endpoint: a card must name an interface.

    The binding is JSONRPC unless a tag such as `a2a:HTTP+JSON` names another one.
    """
    if row["endpoint"] is None:
        raise ProblemError(404, f"Agent {row['name']!r} has no card: it has no endpoint; set one with PATCH.")
    tags = [tag for tag in row["tags"] if not tag.startswith(_BINDING_TAG)]
    named = [tag.removeprefix(_BINDING_TAG) for tag in row["tags"] if tag.startswith(_BINDING_TAG)]
    binding = next(filter(None, named), "JSONRPC")
    description = row["description"] or f"{row['type']} of {row['vendor']} on {row['model']}"
    skill = {"id": row["type"], "name": row["type"], "description": description}
    return _card(
        name=row["name"],
        description=description,
        version=str(row["version"]),
        interface={"url": row["endpoint"], "protocolBinding": binding},
        skills=[{**skill, "tags": [row["vendor"], row["model"], *tags]}],
    )


def mesh_card(settings: Settings) -> dict[str, Any]:
    """The mesh's own card. Its interface is no core binding of A2A, so its OpenAPI document names the binding."""
    url = settings.public_url
    card = _card(
        name=settings.mesh,
        description=f"The agent mesh {settings.mesh}: registry, policy and telemetry for agents.",
        version=settings.release,
        interface={"url": url, "protocolBinding": f"{url}/openapi.json"},
        skills=[
            {"id": key, "name": name, "description": f"{text} REST: {path}.", "tags": ["mesh"]}
            for key, name, text, path in _MESH_SKILLS
        ],
    )
    if settings.auth:
        card["securitySchemes"] = {"bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}}
        card["securityRequirements"] = [{"schemes": {"bearer": {"list": []}}}]
    return card


def _card(
    *, name: str, description: str, version: str, interface: dict[str, str], skills: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "supportedInterfaces": [{**interface, "protocolVersion": PROTOCOL_VERSION}],
        "version": version,
        "capabilities": {"streaming": False, "pushNotifications": False},
        "defaultInputModes": _TEXT,
        "defaultOutputModes": _TEXT,
        "skills": skills,
    }

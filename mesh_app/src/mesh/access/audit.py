"""The audit line: who changed, or tried to change, what."""

from __future__ import annotations

from mesh.access.identity import Identity

_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_DATA_PLANE = ("/api/v1/evaluate", "/api/v1/metrics", "/api/v1/agents/{id}/heartbeat", "/graphql", "unmatched")
"""Routes that are the mesh's daily work and change nothing that an operator answers for."""


def audited(method: str, route: str) -> bool:
    return method in _CHANGING and route not in _DATA_PLANE


def named(identity: Identity | None) -> dict[str, str]:
    """For the line of every request: the subject, and the service that spoke for it."""
    if identity is None:
        return {}
    return {"subject": identity.subject, **({"via": identity.via} if identity.via else {})}


def described(identity: Identity | None) -> dict[str, str | None]:
    """For the audit line; all None where nobody proved who they are."""
    if identity is None:
        return {"who": None, "role": None, "credential": None}
    via = {"via": identity.via} if identity.via else {}
    return {"who": identity.subject, "role": identity.role, "credential": identity.kind, **via}

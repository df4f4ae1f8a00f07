"""A pod that is made beside the chart: as confined as the standard *restricted* asks, and without a token."""

from __future__ import annotations

from typing import Any

CONTAINER: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""`securityContext` of each container."""


def confined_spec(user: int, pull_secrets: list[str]) -> dict[str, Any]:
    """What the specification of such a pod begins with: it is tried once, as `user`, whose group owns its volumes."""
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **({"imagePullSecrets": [{"name": name} for name in pull_secrets]} if pull_secrets else {}),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }

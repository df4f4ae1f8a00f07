"""What Prometheus of a mesh in a cluster answers, asked in its own pod."""

from __future__ import annotations

from collections.abc import Callable

ASK = ("exec", "prometheus-0", "--", "promtool", "query", "instant", "http://127.0.0.1:9090")


def series(kubectl: Callable[..., str], query: str) -> list[str]:
    """The answer to an instant query, a line for each series; `kubectl` asks in the namespace of the mesh."""
    return [line for line in kubectl(*ASK, query).splitlines() if line.strip()]

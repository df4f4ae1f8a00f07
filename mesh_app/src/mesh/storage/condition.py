"""SQL conditions out of what a caller asked for."""

from __future__ import annotations

from typing import Any

from mesh.core.settings import VERIFY_NAMESPACE

Term = tuple[str, Any]
"""Text with `?` in the place of its argument, and the argument; None for what was not asked for."""


def condition(*terms: Term) -> tuple[str, list[Any]]:
    """The condition with $1… and its arguments; `true` when nothing was asked for."""
    given = [(text, value) for text, value in terms if value is not None]
    texts = [text.replace("?", f"${place}") for place, (text, _) in enumerate(given, 1)]
    return " AND ".join(texts) or "true", [value for _, value in given]


def in_namespace(column: str, namespace: str | None) -> Term:
    """Without a namespace, all but the harness's own one."""
    return (f"{column} = ?", namespace) if namespace else (f"{column} <> ?", VERIFY_NAMESPACE)

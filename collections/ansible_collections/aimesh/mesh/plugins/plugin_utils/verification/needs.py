"""Which secrets questions need: named in them, resolved on the controller, sent to the host asked, never kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def secrets_needed(questions: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of secrets, each once, sorted."""
    names: set[str] = set()
    for question in questions:
        parts = [question, *question.get("steps", [])]
        names |= {str(part[key]) for part in parts for key in ("token", "password", "certificate") if part.get(key)}
        names |= {str(name) for name in question.get("secrets", [])}
    return sorted(names)

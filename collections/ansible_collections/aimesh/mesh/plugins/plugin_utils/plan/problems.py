"""What is wrong with an inventory: collected, then told all at once, each in one sentence."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Where:
    """Where a value was written: `file` as an operator would type it, `line` from 1, `written` its text for numbers."""

    file: str
    line: int | None = None
    written: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


Origins = Mapping[str, Where]
"""Path of a value, as `mesh_services.registry.replicas` or `mesh_policy_rules[0].id`, → where it was written."""


def origin_of(path: str, origins: Origins) -> Where | None:
    """Where a path, or the nearest value around it, was written."""
    while path:
        if path in origins:
            return origins[path]
        cut = max(path.rfind("."), path.rfind("["))
        path = path[:cut] if cut > 0 else ""
    return None


def shown(value: Any) -> str:
    """A value as a sentence shows it; long ones are cut, containers only named."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…"
        return f"'{text}'".replace("\n", "\\n")
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, datetime.date):
        return f"the date {value.isoformat()}"
    if isinstance(value, int | float):
        return str(value)
    return f"a {type(value).__name__}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that an unknown one most likely means."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return matches[0] if matches else None


@dataclass
class Problems:
    """Sentences in the order they were found, each once."""

    origins: Origins = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)

    def at(self, origins: Origins) -> Problems:
        """The same collection, looking up where values were written elsewhere."""
        return Problems(origins, self.sentences)

    def say(self, path: str, text: str) -> None:
        """Add `<path> (<file>:<line>) <text>.`"""
        where = origin_of(path, self.origins)
        self.tell(f"{path} ({where}) {text}" if where else f"{path} {text}")

    def wrong(self, path: str, value: Any, allowed: str, remedy: str) -> None:
        """Add a sentence on a value: what was found, what is allowed, what to do."""
        self.say(path, f"is {shown(value)}; allowed: {allowed}; {remedy}")

    def tell(self, sentence: str) -> None:
        """Add a sentence that belongs to no variable."""
        full = sentence if sentence.endswith((".", "?")) else f"{sentence}."
        if full not in self.sentences:
            self.sentences.append(full)

    def __bool__(self) -> bool:
        return bool(self.sentences)

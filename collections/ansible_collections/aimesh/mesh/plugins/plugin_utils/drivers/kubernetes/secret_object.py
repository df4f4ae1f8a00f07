"""A Secret of the mesh's namespace: its keys, and from which secrets of the plan each is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

OPAQUE, BASIC_AUTH = "Opaque", "kubernetes.io/basic-auth"


@dataclass(frozen=True)
class SecretEntry:
    """One key. `inline` is a template as that of a `host_state.File`: it sees `vars` and the named `secrets`."""

    key: str
    inline: str
    vars: dict[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class SecretObject:
    """An object of kind Secret in the mesh's namespace."""

    name: str
    entries: tuple[SecretEntry, ...]
    type: str = OPAQUE

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(entry.key for entry in self.entries)

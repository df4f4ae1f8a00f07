"""Schema levels: what the code wants, what the database has, and whether the two can work together."""

from __future__ import annotations

from importlib import resources
from typing import Any

import msgspec


class Migration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of migrations/manifest.json. Code of level `compatible_from` or later works on the schema after it."""

    version: int
    file: str
    sha256: str
    compatible_from: int


def load_manifest() -> tuple[Migration, ...]:
    data = resources.files("mesh").joinpath("migrations/manifest.json").read_bytes()
    return tuple(msgspec.json.decode(data, type=list[Migration]))


def wanted_level() -> int:
    return load_manifest()[-1].version


class SchemaState(msgspec.Struct, frozen=True):
    """`have` is the database's level (0: none), `want` this code's, `compatible_from` the oldest that it serves."""

    have: int
    want: int
    compatible_from: int

    @property
    def problem(self) -> str | None:
        if self.have < self.want:
            return f"The schema is at level {self.have}, this release wants {self.want}; run 'mesh migrate'."
        if self.want < self.compatible_from:
            return (
                f"The schema (level {self.have}) serves releases from level {self.compatible_from}, "
                f"this one is at {self.want}; install a newer release."
            )
        return None


LEVEL_QUERY = "SELECT version, compatible_from FROM schema_migrations ORDER BY version DESC LIMIT 1"


def state_of(row: Any, want: int) -> SchemaState:
    """The state for the row that LEVEL_QUERY returned, or None for an empty table."""
    if row is None:
        return SchemaState(0, want, 0)
    return SchemaState(row["version"], want, row["compatible_from"])

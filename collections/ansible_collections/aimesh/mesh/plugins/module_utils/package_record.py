"""`<state>/packages.json`: the packages that we added to this host, so that those that were there before stay."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json

SCHEMA = 1
NAME = "packages.json"


@dataclass
class PackageRecord:
    """`added` came through us, dependencies included; `pending` is what a started installation is about to add.

    `lists_updated` is when we last fetched the package lists, in seconds since the epoch.
    """

    schema: int = SCHEMA
    added: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    lists_updated: float = 0.0


def load_packages(state_dir: str) -> PackageRecord:
    """The host's record, empty when there is none. Raises StateFileError when it cannot be used."""
    path = str(Path(state_dir) / NAME)
    raw = read_json(path)
    if raw is None:
        return PackageRecord()
    try:
        if raw["schema"] != SCHEMA:
            raise StateFileError(
                f"The record {path} has schema {raw['schema']}, this version reads {SCHEMA}; "
                "use the release that wrote it."
            )
        return PackageRecord(**raw)
    except (KeyError, TypeError) as error:
        raise StateFileError(f"The record {path} is not one of ours ({error}); restore it from a backup.") from None


def save_packages(state_dir: str, record: PackageRecord) -> None:
    write_json(str(Path(state_dir) / NAME), asdict(record))


def settle(record: PackageRecord, installed: set[str]) -> PackageRecord:
    """After an interrupted installation: what was pending and is there now came through us."""
    added = sorted(set(record.added) | (set(record.pending) & installed))
    return PackageRecord(added=added, lists_updated=record.lists_updated)

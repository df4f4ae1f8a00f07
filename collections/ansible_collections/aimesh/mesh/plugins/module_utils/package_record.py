"""`<state>/packages.json`: the packages that we added to this host, so that those that were there before stay."""

from __future__ import annotations

import grp
import pwd
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json

SCHEMA = 1
NAME = "packages.json"


@dataclass
class PackageRecord:
    """`added` came through us, dependencies included; `pending` is what a started installation is about to add.

    `users` and `groups` are the accounts that those packages made; `accounts_before` are all accounts at the start of
    the pending installation. `lists_updated` is when we last fetched the package lists, in seconds since the epoch.
    """

    schema: int = SCHEMA
    added: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    accounts_before: dict[str, list[str]] = field(default_factory=dict)
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


def accounts() -> dict[str, list[str]]:
    """Names of all users and groups of this host."""
    return {
        "users": sorted(entry.pw_name for entry in pwd.getpwall()),
        "groups": sorted(entry.gr_name for entry in grp.getgrall()),
    }


def settle(record: PackageRecord, present: set[str], now: dict[str, list[str]]) -> PackageRecord:
    """After an installation, whole or interrupted: what was pending and is there now came through us.

    `present` are packages that dpkg has, in whatever state; `now` are the accounts as `accounts` gives them.
    """
    before = record.accounts_before

    def made(kind: str, known: list[str]) -> list[str]:
        return sorted({*known, *(set(now[kind]) - set(before.get(kind, now[kind])))})

    return PackageRecord(
        added=sorted({*record.added, *(set(record.pending) & present)}),
        users=made("users", record.users),
        groups=made("groups", record.groups),
        lists_updated=record.lists_updated,
    )

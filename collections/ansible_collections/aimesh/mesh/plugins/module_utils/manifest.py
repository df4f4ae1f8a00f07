"""`<state>/files.json`: what on this host is ours, so that nothing else is ever removed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json

SCHEMA = 1
NAME = "files.json"


@dataclass(frozen=True)
class FileRecord:
    """`digest` is the SHA-256 of the content, and None for a file with secrets."""

    owner: str
    group: str
    mode: str
    digest: str | None = None


@dataclass
class Manifest:
    """Files we manage; directories, users and groups that did not exist before we made them.

    `directories` maps a path to its `keep` flag (True for data).
    """

    files: dict[str, FileRecord] = field(default_factory=dict)
    directories: dict[str, bool] = field(default_factory=dict)
    users: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "files": {path: asdict(record) for path, record in self.files.items()},
            "directories": self.directories,
            "users": sorted(self.users),
            "groups": sorted(self.groups),
        }


def manifest_path(state_dir: str) -> str:
    return str(Path(state_dir) / NAME)


def load_manifest(state_dir: str) -> Manifest:
    """The host's manifest, empty when there is none. Raises StateFileError when it cannot be used."""
    path = manifest_path(state_dir)
    raw = read_json(path)
    if raw is None:
        return Manifest()
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        found = raw.get("schema") if isinstance(raw, dict) else type(raw).__name__
        raise StateFileError(
            f"The record {path} has schema {found}, this version reads {SCHEMA}; use the release that wrote it."
        )
    return Manifest(
        files={name: FileRecord(**record) for name, record in raw["files"].items()},
        directories=dict(raw["directories"]),
        users=list(raw["users"]),
        groups=list(raw["groups"]),
    )


def save_manifest(state_dir: str, manifest: Manifest) -> None:
    write_json(manifest_path(state_dir), manifest.as_dict())


def ensure_state_dir(state_dir: str) -> list[str]:
    """Make the state directory (0700) and its missing parents (0755); returns what was made, outermost first.

    What is made is recorded as ours. An existing directory keeps its mode and owner.
    """
    made: list[str] = []
    path = Path(state_dir)
    for parent in [*reversed(path.parents), path]:
        if not parent.is_dir():
            parent.mkdir(mode=0o700)
            if parent != path:
                parent.chmod(0o755)  # whatever the umask: service users pass through here
            made.append(str(parent))
    if made:
        manifest = load_manifest(state_dir)
        manifest.directories.update(dict.fromkeys(made, False))
        save_manifest(state_dir, manifest)
    return made

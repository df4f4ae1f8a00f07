"""Directories on the host: made when missing and then recorded as ours; only listed ones get owner and mode."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.ownership import Ownership, describe, resolve_ownership
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError


@dataclass(frozen=True)
class WantedDirectory:
    path: str
    ownership: Ownership
    keep: bool


@dataclass(frozen=True)
class DirectoryChange:
    """`makes` lists the directories that do not exist, outermost first."""

    path: str
    what: tuple[str, ...]
    makes: tuple[str, ...]
    diff: dict[str, str]


def wanted_directory(options: dict[str, Any], *, predict: bool) -> WantedDirectory:
    """From a module's suboptions. Raises HostChangeError."""
    path = options["path"]
    if not path.startswith("/"):
        raise HostChangeError(f"The directory path {path} is not absolute.")
    ownership = resolve_ownership(path, options["owner"], options["group"], options["mode"], predict=predict)
    return WantedDirectory(str(Path(path)), ownership, options["keep"])


def missing_ancestors(path: str) -> tuple[str, ...]:
    """`path` and its ancestors that do not exist, outermost first."""
    target = Path(path)
    return tuple(str(folder) for folder in [*reversed(target.parents), target] if not os.path.lexists(folder))


def compare_directory(wanted: WantedDirectory) -> DirectoryChange | None:
    """What differs, or None. Raises HostChangeError for a path that is no directory, or a link that is not root's."""
    own = wanted.ownership
    after = f"{own.owner or '-'}:{own.group or '-'} {own.mode:04o}\n"
    makes = missing_ancestors(wanted.path)
    header = {"before_header": wanted.path, "after_header": wanted.path}
    if makes:
        return DirectoryChange(wanted.path, ("absent",), makes, header | {"before": "absent\n", "after": after})
    seen = Path(wanted.path).lstat()
    if stat.S_ISLNK(seen.st_mode):
        if seen.st_uid not in (0, os.geteuid()):
            raise HostChangeError(f"{wanted.path} is a symbolic link that a service user made; remove it.")
        try:
            seen = Path(wanted.path).stat()
        except FileNotFoundError:
            raise HostChangeError(f"{wanted.path} is a symbolic link to nothing; remove it.") from None
    if not stat.S_ISDIR(seen.st_mode):
        raise HostChangeError(f"{wanted.path} exists and is no directory; move it away and deploy again.")
    what = own.differences(seen)
    if not what:
        return None
    return DirectoryChange(wanted.path, tuple(what), (), header | {"before": f"{describe(seen)}\n", "after": after})


def apply_directory(wanted: WantedDirectory, change: DirectoryChange) -> None:
    """Make the directory (parents 0755) or correct its owner and mode. Raises OSError."""
    make_directories(change.makes)
    descriptor = os.open(wanted.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fchown(descriptor, wanted.ownership.uid, wanted.ownership.gid)
        os.fchmod(descriptor, wanted.ownership.mode)
    finally:
        os.close(descriptor)


def make_directories(paths: tuple[str, ...]) -> None:
    """Make directories, outermost first, 0755 whatever the umask."""
    for path in paths:
        Path(path).mkdir(mode=0o755)
        Path(path).chmod(0o755)

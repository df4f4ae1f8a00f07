"""Owners, groups and modes: from the names in the plan to what the kernel takes, and back."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

_MODE = re.compile(r"^0?[0-7]{3,4}$")


def parse_mode(text: str, path: str) -> int:
    """`0640` → 0o640. Raises HostChangeError for anything but an octal mode."""
    if not _MODE.match(text):
        raise HostChangeError(f"The mode of {path} is {text!r}; it must be octal digits in quotes, as '0640'.")
    return int(text, 8)


@dataclass(frozen=True)
class Ownership:
    """Wanted owner, group and mode. An empty owner or group is left as it is; `unknown` names have no id here yet."""

    owner: str
    group: str
    mode: int
    uid: int = -1
    gid: int = -1
    unknown: tuple[str, ...] = ()

    def differences(self, seen: os.stat_result) -> list[str]:
        """Which of `owner`, `group`, `mode` differ from what is on disk."""
        found = []
        if self.owner and self.uid != seen.st_uid:
            found.append("owner")
        if self.group and self.gid != seen.st_gid:
            found.append("group")
        if stat.S_IMODE(seen.st_mode) != self.mode:
            found.append("mode")
        return found


def resolve_ownership(path: str, owner: str, group: str, mode: str, *, predict: bool) -> Ownership:
    """Look the names up; digits are an id of their own, as a container's account has it.

    An account that does not exist is an error, or `unknown` when `predict` (check mode).
    """
    unknown = []
    uid = gid = -1
    if owner:
        try:
            uid = int(owner) if owner.isdecimal() else pwd.getpwnam(owner).pw_uid
        except KeyError:
            unknown.append(f"user {owner}")
    if group:
        try:
            gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
        except KeyError:
            unknown.append(f"group {group}")
    if unknown and not predict:
        raise HostChangeError(
            f"{path} is to belong to {' and '.join(unknown)}, which this host does not have; "
            "the driver must list it or the package that makes it."
        )
    return Ownership(owner, group, parse_mode(mode, path), uid, gid, tuple(unknown))


def owner_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def describe(seen: os.stat_result) -> str:
    """`root:root 0644`, for a diff."""
    return f"{owner_name(seen.st_uid)}:{group_name(seen.st_gid)} {stat.S_IMODE(seen.st_mode):04o}"

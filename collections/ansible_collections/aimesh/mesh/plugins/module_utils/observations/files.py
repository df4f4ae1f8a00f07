"""Owners, modes and kinds of files, many in one question."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from typing import Any

from .base import Environment, Question

TREE_LIMIT = 5000
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFSOCK: "socket"}


def answer_files(question: Question, _environment: Environment) -> dict[str, dict[str, Any] | None]:
    """`paths` and everything below `trees` → {path: {"kind", "mode", "owner", "group", "size", "changed"} or None}.

    `mode` is four octal digits, `changed` the time of the last change of content in seconds. None: there is no such
    path. Links are told, not followed; a tree is read up to 5000 entries.
    """
    found: dict[str, dict[str, Any] | None] = {str(path): describe(str(path)) for path in question.get("paths", [])}
    for tree in question.get("trees", []):
        for path in _below(str(tree)):
            found.setdefault(path, describe(path))
    return found


def describe(path: str) -> dict[str, Any] | None:
    """What `answer_files` says of one path."""
    try:
        seen = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return {
        "kind": _KINDS.get(stat.S_IFMT(seen.st_mode), "other"),
        "mode": f"{stat.S_IMODE(seen.st_mode):04o}",
        "owner": _name(seen.st_uid, pwd.getpwuid),
        "group": _name(seen.st_gid, grp.getgrgid),
        "size": seen.st_size,
        "changed": round(seen.st_mtime, 2),
    }


def _name(number: int, lookup: Any) -> str:
    try:
        return str(lookup(number)[0])
    except KeyError:
        return str(number)


def _below(tree: str) -> list[str]:
    paths: list[str] = []
    for folder, folders, files in os.walk(tree):
        paths += [f"{folder}/{name}" for name in sorted(folders) + sorted(files)]
        if len(paths) > TREE_LIMIT:
            break
    return paths[:TREE_LIMIT]

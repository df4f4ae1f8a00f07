"""Looks for the values of secrets where they must not be, and tells only where, never what."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.proc import as_owner_of, pids

from .base import Environment, Question
from .docker_inspect import containers_of, inspect

FILE_LIMIT = 8 * 1024 * 1024
SHORTEST = 12
"""A shorter text would be found by chance."""


def answer_exposure(question: Question, environment: Environment) -> dict[str, Any]:
    """Where the secrets named in `secrets` lie open: process listings, and files below `trees` that others may read.

    With a Compose `project`, what `docker inspect` tells of its containers and their images counts as a listing too.
    Returns `{"searched": [names], "processes": [{"secret", "pid", "comm", "where"}], "files": [{"secret", "path"}],
    "read": number of process listings and files looked at}`.
    """
    values = {name: environment.secrets[name].encode() for name in question["secrets"] if name in environment.secrets}
    values = {name: value for name, value in values.items() if len(value) >= SHORTEST}
    processes, listings = _in_processes(values)
    if question.get("project"):
        told, inspected = _in_inspection(values, str(question["project"]), environment)
        processes, listings = processes + told, listings + inspected
    files, read = _in_files(values, [str(tree) for tree in question.get("trees", [])])
    return {"searched": sorted(values), "processes": processes, "files": files, "read": listings + read}


def _in_processes(values: dict[str, bytes]) -> tuple[list[dict[str, Any]], int]:
    found: list[dict[str, Any]] = []
    read = 0
    for pid in pids():
        for where in ("environ", "cmdline"):
            try:
                with as_owner_of(pid):
                    content = Path(f"/proc/{pid}/{where}").read_bytes()
                comm = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                continue
            read += 1
            found += [
                {"secret": name, "pid": pid, "comm": comm, "where": where}
                for name, value in values.items()
                if value in content
            ]
    return found, read


def _in_inspection(
    values: dict[str, bytes], project: str, environment: Environment
) -> tuple[list[dict[str, Any]], int]:
    containers = containers_of(project, environment)
    images = inspect(sorted({str(each["Image"]) for each in containers}), environment)
    listings = [(int(each["State"]["Pid"]), str(each["Name"]).lstrip("/"), "container", each) for each in containers]
    listings += [(0, " ".join(each.get("RepoTags") or [str(each["Id"])]), "image", each) for each in images]
    found = [
        {"secret": name, "pid": pid, "comm": what, "where": f"docker inspect of the {kind}"}
        for pid, what, kind, listing in listings
        for name, value in values.items()
        if value in json.dumps(listing, ensure_ascii=False).encode()
    ]
    return found, len(listings)


def _in_files(values: dict[str, bytes], trees: list[str]) -> tuple[list[dict[str, str]], int]:
    found: list[dict[str, str]] = []
    read = 0
    for tree in trees:
        if not _open_to_others(Path(tree)):
            continue
        for folder, folders, names in os.walk(tree):
            folders[:] = [name for name in folders if _enterable(f"{folder}/{name}")]
            for name in names:
                path = f"{folder}/{name}"
                content = _readable_by_others(path)
                if content is None:
                    continue
                read += 1
                found += [{"secret": key, "path": path} for key, value in values.items() if value in content]
    return found, read


def _open_to_others(tree: Path) -> bool:
    return all(_enterable(str(folder)) for folder in (tree, *tree.parents))


def _enterable(path: str) -> bool:
    try:
        return bool(os.lstat(path).st_mode & stat.S_IXOTH)
    except OSError:
        return False


def _readable_by_others(path: str) -> bytes | None:
    try:
        seen = os.lstat(path)
        if not stat.S_ISREG(seen.st_mode) or not seen.st_mode & stat.S_IROTH or seen.st_size > FILE_LIMIT:
            return None
        return Path(path).read_bytes()
    except OSError:
        return None

"""Looks for the values of secrets where they must not be, and tells only where, never what."""

from __future__ import annotations

import base64
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
PEM_LINE = 64

Traces = dict[str, tuple[bytes, ...]]
"""Name of a secret → texts that give it away."""


def answer_exposure(question: Question, environment: Environment) -> dict[str, Any]:
    """Where the secrets named in `secrets` lie open: process listings, and files below `trees` that others may read.

    With a Compose `project`, what `docker inspect` tells of its containers and their images counts as a listing too.
    Returns `{"searched": [names], "processes": [{"secret", "pid", "comm", "where"}], "files": [{"secret", "path"}],
    "read": number of process listings and files looked at}`.
    """
    values = {name: environment.secrets[name].encode() for name in question["secrets"] if name in environment.secrets}
    traces = {name: _traces(value) for name, value in values.items() if len(value) >= SHORTEST}
    processes, listings = _in_processes(traces)
    if question.get("project"):
        told, inspected = _in_inspection(traces, str(question["project"]), environment)
        processes, listings = processes + told, listings + inspected
    files, read = _in_files(traces, [str(tree) for tree in question.get("trees", [])])
    return {"searched": sorted(traces), "processes": processes, "files": files, "read": listings + read}


def _traces(value: bytes) -> tuple[bytes, ...]:
    """The secret, and the first line of a key that is stored in base64 and written as PEM."""
    try:
        lines = base64.b64decode(value, validate=True).split()
    except ValueError:
        return (value,)
    keys = [line for line in lines if len(line) == PEM_LINE]
    return (value, keys[0]) if lines[:1] == [b"-----BEGIN"] and keys else (value,)


def _shows(content: bytes, traces: tuple[bytes, ...]) -> bool:
    return any(trace in content for trace in traces)


def _in_processes(values: Traces) -> tuple[list[dict[str, Any]], int]:
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
                for name, traces in values.items()
                if _shows(content, traces)
            ]
    return found, read


def _in_inspection(values: Traces, project: str, environment: Environment) -> tuple[list[dict[str, Any]], int]:
    containers = containers_of(project, environment)
    images = inspect(sorted({str(each["Image"]) for each in containers}), environment)
    listings = [(int(each["State"]["Pid"]), str(each["Name"]).lstrip("/"), "container", each) for each in containers]
    listings += [(0, " ".join(each.get("RepoTags") or [str(each["Id"])]), "image", each) for each in images]
    found = [
        {"secret": name, "pid": pid, "comm": what, "where": f"docker inspect of the {kind}"}
        for pid, what, kind, listing in listings
        for name, traces in values.items()
        if _shows(json.dumps(listing, ensure_ascii=False).encode(), traces)
    ]
    return found, len(listings)


def _in_files(values: Traces, trees: list[str]) -> tuple[list[dict[str, str]], int]:
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
                found += [{"secret": key, "path": path} for key, traces in values.items() if _shows(content, traces)]
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

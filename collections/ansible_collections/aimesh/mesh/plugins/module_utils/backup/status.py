"""How the backups of this host are: everything that one look can tell, as one document."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json

from .command import BackupError, run
from .continuity import SEGMENT_BYTES, gaps
from .dumps import dump_name
from .engine import Engine
from .history import History, Run, read_history, record_archived
from .live import Live, look
from .schedule_file import STALE_S, read_schedule
from .sealed import archives, demand_sealed
from .spec import UNITS, BackupSpec

SCHEMA = 1
DRILL = "drills/restore.json"


def status(spec: BackupSpec) -> dict[str, Any]:
    """Never raises for what is broken: `problems` has a sentence for each, and what cannot be told is null or empty.

    `{schema, mesh, engine, now, problems, history{kind: {success, failure, failed_last}}, backups[], repositories[],
    archive{mode, last_segment, last_at, age_s, waiting, failing, failed_segment, missing_segments, gaps[],
    ended[] (how far backups from before a pause reach)} | null,
    size_bytes, dump{path, size_bytes, at, sealed, count} | null, configuration (the same), redis,
    timers{unit: {last, next}}, drill | null}`; times in seconds since the epoch.
    """
    problems: list[str] = []
    history = _attempt(lambda: read_history(spec.state), problems) or History({}, "")
    live = _attempt(lambda: look(spec), problems) if spec.engine else None
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "mesh": spec.mesh,
        "engine": spec.engine,
        "now": time.time(),
        "history": {kind: _history(history, kind) for kind in sorted(history.kinds)},
        "backups": [],
        "repositories": [],
        "archive": None,
        "size_bytes": live.cluster_bytes if live else None,
        "dump": _sealed(spec.dump.folder, dump_name(spec), problems),
        "configuration": _sealed(spec.configuration.folder, "configuration", problems),
        "redis": spec.redis.role if spec.redis else None,
        "timers": timers() or scheduled(spec, problems),
        "drill": last_drill(spec, problems),
    }
    if spec.engine == "pgbackrest":
        document |= _repositories(spec, live, history, problems)
    return document | {"problems": problems}


def _repositories(spec: BackupSpec, live: Live | None, history: History, problems: list[str]) -> dict[str, Any]:
    engine = Engine(spec)
    offline = live is None
    info = _attempt(lambda: engine.info(offline=offline), problems)
    if info is None:
        return {}
    newest = expected(spec, live, history)
    problems += _archiving(live)
    repositories, sentences, ended, missing, last_at = [], [], [], 0, 0.0
    for state in info.repositories:
        if state.code != 0:
            problems.append(f"Repository {state.number}: {state.message}.")
        elif state.cipher == "none":
            problems.append(f"Repository {state.number} is not encrypted; make a new one, a cipher cannot be changed.")
        entry: dict[str, Any] = dataclasses.asdict(state) | {"bytes": None, "segments": None, "missing_segments": None}
        archive = (
            None
            if state.code == 99
            else _attempt(lambda number=state.number: engine.segments(number, offline=offline), problems)
        )
        if archive is not None:
            last_at = max(last_at, archive.newest_at)
            backups = [each for each in info.of(state.number) if each.archive == archive.name]
            found = _attempt(
                lambda archive=archive, backups=backups: gaps(
                    archive.segments,
                    backups,
                    histories=archive.histories,
                    newest=newest,
                    segment_bytes=live.segment_bytes if live else SEGMENT_BYTES,
                ),
                problems,
            )
            begun, size = history.begun.get(state.number, ""), live.segment_bytes if live else SEGMENT_BYTES
            before = [each for each in found or [] if each.belongs_before(begun, size)]
            found = [each for each in found or [] if each not in before]
            ended += [f"Repository {state.number}: Backups were off before {begun}; {each.sentence}" for each in before]
            lost = sum(each.count for each in found)
            missing += lost
            sentences += [f"Repository {state.number}: {each.sentence}" for each in found]
            repo_bytes = archive.size_bytes + sum(each.repo_bytes for each in info.of(state.number))
            entry |= {"bytes": repo_bytes, "segments": len(archive.segments), "missing_segments": lost}
        repositories.append(entry)
    return {
        "backups": [dataclasses.asdict(each) for each in info.backups],
        "repositories": repositories,
        "archive": _archive(live, sentences, missing, last_at, newest) | {"ended": ended},
    }


def _archiving(live: Live | None) -> list[str]:
    if live is None:
        return []
    if live.archive_mode == "off":
        return ["PostgreSQL archives nothing: archive_mode is off; deploy the mesh again."]
    if live.archiving_fails:
        return [f"PostgreSQL could not archive {live.failed}, and {live.waiting} files wait; look at its log for why."]
    return []


def _archive(live: Live | None, sentences: list[str], missing: int, last_at: float, newest: str) -> dict[str, Any]:
    at = live.archived_at if live and live.archived_at else last_at
    return {
        "mode": live.archive_mode if live else None,
        "last_segment": newest,
        "last_at": at or None,
        "age_s": max(0.0, (live.now if live else time.time()) - at) if at else None,
        "waiting": live.waiting if live else None,
        "failing": live.archiving_fails if live else None,
        "failed_segment": live.failed if live and live.archiving_fails else "",
        "missing_segments": missing,
        "gaps": sentences,
    }


def expected(spec: BackupSpec, live: Live | None, history: History) -> str:
    """The newest segment that has to be in every repository: the cluster's word, or what was once seen."""
    if live is None:
        return history.archived
    remembered = history.archived if history.system_id == live.system_id else ""
    # Names sort by timeline first; what a parent archived after a fork is nothing that `gaps` asks for.
    newest = max(live.archived, remembered)
    if newest:
        with contextlib.suppress(OSError):
            record_archived(spec.state, newest, live.system_id)
    return newest


def timers(pattern: str = f"{UNITS}*.timer") -> dict[str, dict[str, float | None]]:
    """Timer's unit → when it last fired and fires next; nothing on a host without systemd."""
    try:
        argv = [
            "systemctl",
            "show",
            pattern,
            "--timestamp=unix",
            "--property=Id,LastTriggerUSec,NextElapseUSecRealtime",
        ]
        done = run([*argv, "--all"])
    except BackupError:
        return {}
    found: dict[str, dict[str, float | None]] = {}
    for block in done.stdout.split("\n\n") if done.returncode == 0 else []:
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if fields.get("Id"):
            found[fields["Id"]] = {
                "last": _instant(fields.get("LastTriggerUSec", "")),
                "next": _instant(fields.get("NextElapseUSecRealtime", "")),
            }
    return found


def scheduled(spec: BackupSpec, problems: list[str]) -> dict[str, dict[str, Any]]:
    """The same of the scheduler of a pod, with `when` it is planned and `since` when; nothing where none has been.

    One that does not look any more fires nothing.
    """
    try:
        found = read_schedule(spec.state)
    except StateFileError as error:
        problems.append(str(error))
        return {}
    if found is None:
        return {}
    silent = time.time() - found.looked
    if silent > STALE_S:
        problems.append(f"The scheduler has not looked at its schedule for {silent:.0f} s; look at its log for why.")
    return {
        f"{UNITS}{kind}.timer": {
            "last": each.last,
            "next": each.next if silent <= STALE_S else None,
            "when": each.when,
            "since": each.since,
        }
        for kind, each in found.entries.items()
    }


def last_drill(spec: BackupSpec, problems: list[str]) -> dict[str, Any] | None:
    try:
        found = read_json(str(Path(spec.state, DRILL)))
    except StateFileError as error:
        problems.append(str(error))
        return None
    return found if isinstance(found, dict) else None


def _instant(text: str) -> float | None:
    digits = text.removeprefix("@")
    return float(digits) if digits.isdigit() and int(digits) > 0 else None


def _sealed(folder: str, name: str, problems: list[str]) -> dict[str, Any] | None:
    found = archives(folder, name)
    if not found:
        return None
    newest = found[-1]
    sealed = True
    try:
        demand_sealed(str(newest))
    except (BackupError, OSError) as error:
        problems.append(str(error))
        sealed = False
    state = newest.stat()
    return {
        "path": str(newest),
        "size_bytes": state.st_size,
        "at": state.st_mtime,
        "sealed": sealed,
        "count": len(found),
    }


def _history(history: History, kind: str) -> dict[str, Any]:
    each = history.of(kind)
    return {"success": _run(each.success), "failure": _run(each.failure), "failed_last": each.failed_last}


def _run(each: Run | None) -> dict[str, Any] | None:
    return dataclasses.asdict(each) if each else None


def _attempt(look_at: Any, problems: list[str]) -> Any:
    try:
        return look_at()
    except BackupError as error:
        problems.append(str(error))
        return None

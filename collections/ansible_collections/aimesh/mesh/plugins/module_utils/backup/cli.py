"""`aimesh-backup`: what timers, cron and the modules call on the data host.

Exit codes: 0 done, 1 failed (one sentence on standard error), 2 wrong usage. The last line says what was done.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .command import BackupError
from .configuration import make_configuration
from .dumps import make_dump
from .engine import Engine
from .history import Run, record_begun, record_run
from .lock import WAIT_S, BusyError, run_lock
from .metrics import publish
from .offsite import copy_out, prune
from .sealed import megabytes
from .spec import DEFAULT_PATH, BackupSpec, load_spec
from .status import status
from .targets import target_options

BACKUPS = ("full", "differential", "incremental")
HELP = {
    "ready": "make the stanza and a first full backup where there is none",
    "full": "make a full backup in every repository",
    "differential": "make a differential backup in every repository",
    "incremental": "make an incremental backup in every repository",
    "dump": "write an encrypted dump of the database",
    "configuration": "write the encrypted archive of this host's configuration",
    "check": "see that a segment of WAL arrives in every repository, and that none is missing",
    "verify": "read every file in the repositories and compare checksums",
    "status": "tell how the backups are",
    "kept": "tell which backups the repositories hold, without asking PostgreSQL",
    "restore": "restore into an empty folder",
}

Result = tuple[str, dict[str, Any], int, str]
"""(sentence, details, size in bytes, label)."""


def main(arguments: Sequence[str] | None = None) -> int:
    wanted = _parser().parse_args(arguments)
    try:
        with private(), _stoppable():
            sentence, details = _perform(load_spec(wanted.spec), wanted)
    except BackupError as error:
        return _failed(str(error), wanted.json)
    except KeyboardInterrupt:
        return _failed("The run was interrupted.", wanted.json)
    except OSError as error:
        return _failed(f"The run failed: {error}.", wanted.json)
    print(json.dumps({"ok": True, "message": sentence, **details}, sort_keys=True) if wanted.json else sentence)
    return 0


@contextlib.contextmanager
def private() -> Iterator[None]:
    """What is written meanwhile is its owner's alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """systemd stops a run with SIGTERM: that ends as any failure does, so its programs end and it is remembered."""

    def stop(number: int, _frame: object) -> None:
        raise BackupError(f"The run was stopped by {signal.Signals(number).name}.")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _perform(spec: BackupSpec, wanted: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    if wanted.command == "status":
        return _status(spec)
    if wanted.command == "kept":
        _demand_engine(spec, wanted.command)
        return _kept(spec)
    work: dict[str, Callable[[], Result]] = {
        "ready": lambda: _ready(spec, wanted),
        "dump": lambda: _dump(spec),
        "configuration": lambda: _configuration(spec),
        "check": lambda: _check(spec),
        "verify": lambda: _verify(spec),
        "restore": lambda: _restore(spec, wanted),
    }
    _demand_engine(spec, wanted.command)
    what = f"{wanted.command} backup" if wanted.command in BACKUPS else wanted.command
    started = time.time()
    try:
        with run_lock(spec.state, what, wait_s=WAIT_S if wanted.wait is None else wanted.wait):
            return recorded(spec, wanted.command, work.get(wanted.command, lambda: _backup(spec, wanted.command)))
    except BusyError as error:
        # Who says how long to wait hears the answer; a timer and cron do not.
        if wanted.wait is None:
            _remember(spec, Run(wanted.command, started, time.time(), False, str(error)))
        raise


def recorded(spec: BackupSpec, kind: str, work: Callable[[], Result]) -> tuple[str, dict[str, Any]]:
    """Do the work, remember how it ended, and publish; a run that is killed is one that never succeeded."""
    started = time.time()
    try:
        sentence, details, size, label = work()
    except BackupError as error:
        _remember(spec, Run(kind, started, time.time(), False, str(error)))
        raise
    except (OSError, KeyboardInterrupt) as error:
        told = "The run was interrupted." if isinstance(error, KeyboardInterrupt) else f"The run failed: {error}."
        _remember(spec, Run(kind, started, time.time(), False, told))
        raise
    _remember(spec, Run(kind, started, time.time(), True, sentence, size, label))
    return sentence, details


def _remember(spec: BackupSpec, run: Run) -> None:
    record_run(spec.state, run)
    # The exporter's file is a copy of what is known: that it cannot be written does not change how the run ended.
    with contextlib.suppress(OSError):
        publish(spec.metrics, status(spec))


def _ready(spec: BackupSpec, wanted: argparse.Namespace) -> Result:
    changed, told, begun = Engine(spec).ready(resumed=wanted.resumed)
    if begun:
        record_begun(spec.state, begun)
    return f"The repositories are ready: {told}.", {"changed": changed}, 0, ""


def _backup(spec: BackupSpec, kind: str) -> Result:
    made = Engine(spec).backup(kind)
    labels = ", ".join(f"{each.label} in repository {each.repository}" for each in made)
    sentence = f"The {kind} backup is made: {labels}, {megabytes(made[0].size_bytes)} of database."
    backups = [{"label": each.label, "kind": each.kind, "repository": each.repository} for each in made]
    return sentence, {"backups": backups}, made[0].size_bytes, made[0].label


def _dump(spec: BackupSpec) -> Result:
    made = make_dump(spec)
    name = Path(made.path).name
    return f"The dump {made.path} is made, {megabytes(made.size_bytes)}.", {"path": made.path}, made.size_bytes, name


def _configuration(spec: BackupSpec) -> Result:
    made = make_configuration(spec)
    path = made.sealed.path
    copies = _copies(spec, path)
    absent = f", without {', '.join(made.missing)}, which is not here" if made.missing else ""
    sentence = f"The configuration archive {path} is made: {made.files} files{absent}, {made.redis}{copies}."
    details = {"path": path, "files": made.files, "missing": list(made.missing), "redis": made.redis}
    return sentence, details, made.sealed.size_bytes, Path(path).name


def _copies(spec: BackupSpec, path: str) -> str:
    if spec.engine != "pgbackrest" or not spec.remote_repositories:
        return ""
    numbers = copy_out(spec, "configuration", path)
    prune(spec, "configuration", spec.configuration.keep)
    escrow = Path(spec.escrow)
    kept = sorted(each for each in escrow.glob("*.age") if each.is_file()) if escrow.is_dir() else []
    for each in kept:
        copy_out(spec, "escrow", str(each))
    told = f" and {len(kept)} escrow archives" if kept else ""
    return f", with a copy{told} in repository {', '.join(str(each) for each in numbers)}"


def _check(spec: BackupSpec) -> Result:
    Engine(spec).check()
    archive = status(spec)["archive"]
    if archive is None:
        raise BackupError("The archive works, but what is in it cannot be told; look at aimesh-backup status.")
    if archive["gaps"]:
        raise BackupError(archive["gaps"][0])
    return f"The archive works and is unbroken up to {archive['last_segment']}.", {"archive": archive}, 0, ""


def _verify(spec: BackupSpec) -> Result:
    found = [sentence for each in spec.repositories for sentence in Engine(spec).verify(each.number)]
    if found:
        raise BackupError(" ".join(found))
    return "Every file in the repositories is as it was written.", {}, 0, ""


def _restore(spec: BackupSpec, wanted: argparse.Namespace) -> Result:
    done = Engine(spec).restore(
        wanted.data_dir, wanted.to, repository=wanted.repository, archive_off=wanted.archive_off
    )
    return f"{wanted.data_dir} is restored to {wanted.to}; start PostgreSQL on it.", {"log": done.stdout}, 0, ""


def _status(spec: BackupSpec) -> tuple[str, dict[str, Any]]:
    document = status(spec)
    with contextlib.suppress(OSError):
        publish(spec.metrics, document)
    told = [*document["problems"], *((document["archive"] or {}).get("gaps") or [])]
    told = told or [f"{len(document['backups'])} backups and no problem."]
    # Nothing that anybody could mend, and it ends by itself.
    told += (document["archive"] or {}).get("ended") or []
    return " ".join(told), {"status": document}


def _kept(spec: BackupSpec) -> tuple[str, dict[str, Any]]:
    """A repository that cannot be read is an error: it may hold the only backups that there are."""
    backups = Engine(spec).readable_info(offline=True).backups
    newest = {each.repository: each for each in backups}
    told = [f"repository {each.repository} has backups of a database (the newest is {each.label})"
            for each in newest.values()]  # fmt: skip
    found = " and ".join(told)
    return f"{found[:1].upper()}{found[1:]}." if found else "No repository has a backup.", {"found": found}


def _demand_engine(spec: BackupSpec, command: str) -> None:
    needs = "pgbackrest" if command not in ("dump", "configuration") else "a database"
    if spec.engine == "pgbackrest" or (spec.engine and needs == "a database") or command == "configuration":
        return
    raise BackupError(f"{command} needs {needs}, and mesh_backup.engine is {spec.engine or 'none'} here.")


def _failed(sentence: str, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"ok": False, "message": sentence}, sort_keys=True))
    print(sentence, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="tell the result as one line of JSON")
    common.add_argument("--spec", default=DEFAULT_PATH, help="the specification of this host (%(default)s)")
    common.add_argument("--wait", type=float, help=f"seconds to wait for another run ({WAIT_S:g})")
    parser = argparse.ArgumentParser(prog="aimesh-backup", description="Backups of the mesh's database and host.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, told in HELP.items():
        command = commands.add_parser(name, help=told, description=told, parents=[common])
        if name == "ready":
            command.add_argument("--resumed", action="store_true", help="nothing made backups until now")
        if name == "restore":
            command.add_argument("--data-dir", required=True, help="an empty or missing folder")
            command.add_argument("--to", default="latest", type=_target, help="latest, a label or an RFC 3339 time")
            command.add_argument("--repository", type=int, default=0, help="0 is the first that works")
            command.add_argument("--archive-off", action="store_true", help="the restored cluster archives nothing")
    return parser


def _target(text: str) -> str:
    try:
        target_options(text)
    except BackupError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text

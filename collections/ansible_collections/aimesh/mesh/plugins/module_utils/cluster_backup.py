"""What a PostgreSQL host does for backups once its cluster is as planned: timers on, repositories ready."""

from __future__ import annotations

import base64
import binascii
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_atomic, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import UNITS
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_program import ProgramError, ask
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_programs import last_line
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError

SYSTEMCTL_TIMEOUT_S = 60.0
WANTS = Path("/etc/systemd/system/timers.target.wants")
TIMERS = f"{UNITS}*.timer"
ARCHIVE = "secrets.age"
DIGEST = "secrets.json"
Do = Callable[[str, Callable[[], object]], None]


@dataclass(frozen=True)
class WantedBackup:
    program: str
    archives: bool
    timers: tuple[str, ...]
    repository: str
    remote: bool
    """Whether there are repositories that are not on this host."""
    escrow: str
    begin_empty: bool
    escrow_digest: str
    """Tells whether the sealed archive is of the secrets as they are now; empty in check mode."""
    escrow_content: str
    """The sealed archive, in base64."""


def backup_of(options: Mapping[str, Any] | None) -> WantedBackup | None:
    if not options:
        return None
    return WantedBackup(
        program=options["program"],
        archives=bool(options["archives"]),
        timers=tuple(options["timers"]),
        repository=options["repository"],
        remote=bool(options["remote"]),
        escrow=options["escrow"],
        begin_empty=bool(options["begin_empty"]),
        escrow_digest=options.get("escrow_digest") or "",
        escrow_content=options.get("escrow_content") or "",
    )


def refuse_lost_database(wanted: WantedBackup | None, data_dir: str, *, check_mode: bool = False) -> None:
    """An empty data directory beside a repository with backups is a lost database. Raises PostgresError.

    Repositories elsewhere are asked only where there are no data and the host's own has no backup.
    """
    if wanted is None or not wanted.repository or wanted.begin_empty:
        return
    folder = Path(data_dir)
    if folder.is_dir() and any(folder.iterdir()):
        return
    found = ""
    if any(Path(wanted.repository).glob("backup/*/backup.info")):
        found = f"the repository {wanted.repository} has backups of a database"
    # In check mode the program need not be here yet, and then nobody can ask.
    elif wanted.remote and (not check_mode or Path(wanted.program).is_file()):
        found = _kept_elsewhere(wanted.program, data_dir)
    if found:
        raise PostgresError(
            f"There are no data in {data_dir} and {found}: bring it back with playbooks/restore.yml, or set "
            "mesh_empty_database to the mesh's name and move the repository away to begin anew."
        )


def make_ready(wanted: WantedBackup, do: Do, check_mode: bool) -> None:
    """Bring about what is missing, each act through `do`. Raises PostgresError."""
    _escrow(wanted, do)
    states = _states(wanted.timers)
    off = [
        name
        for name, state in zip(wanted.timers, states, strict=True)
        if (state.get("UnitFileState"), state.get("ActiveState")) != ("enabled", "active")
    ]
    if wanted.archives and not check_mode:
        # Without any timer nothing made backups until now, and PostgreSQL may have kept its WAL to itself.
        said = _ready(wanted.program, *(["--resumed"] if len(off) == len(wanted.timers) else []))
        if said:
            do(f"backup: {said}", lambda: None)
    if any(state.get("NeedDaemonReload") == "yes" or state.get("LoadState") == "not-found" for state in states):
        do("backup: units read again", partial(_systemctl, "daemon-reload"))
    if off:
        do(f"backup: {', '.join(off)} started", partial(_systemctl, "enable", "--now", "--quiet", *off))


def retire(wanted: WantedBackup | None, do: Do, wants: Path = WANTS) -> None:
    """Timers of ours that are not wanted any more end; their unit files are gone already. Raises PostgresError."""
    kept = wanted.timers if wanted else ()
    left = sorted(link.name for link in wants.glob(TIMERS) if link.name not in kept)
    if not left:
        return
    do(f"backup: {', '.join(left)} stopped", partial(_systemctl, "stop", *left))
    for name in left:
        # `disable` refuses a unit without a file.
        do(f"backup: {name} disabled", (wants / name).unlink)
    do("backup: units read again", partial(_systemctl, "daemon-reload"))


def _escrow(wanted: WantedBackup, do: Do) -> None:
    if not wanted.escrow_digest:
        return
    folder = Path(wanted.escrow)
    known = read_json(str(folder / DIGEST))
    there = (folder / ARCHIVE).is_file() and isinstance(known, dict) and known.get("digest") == wanted.escrow_digest
    if not there:
        do("backup: secrets sealed", partial(_seal, folder, wanted))


def _seal(folder: Path, wanted: WantedBackup) -> None:
    try:
        content = base64.b64decode(wanted.escrow_content, validate=True)
    except binascii.Error:
        raise PostgresError("The sealed archive of the secrets is not base64; this is a defect.") from None
    # The digest last: with another one the archive is written again.
    write_atomic(str(folder / ARCHIVE), content, mode=0o600)
    write_json(str(folder / DIGEST), {"schema": 1, "digest": wanted.escrow_digest})


def _ready(program: str, *options: str) -> str:
    """What the backup program made; empty when everything was there."""
    try:
        told = ask(program, "ready", *options)
    except ProgramError as error:
        raise PostgresError(f"The repositories cannot be made ready: {error}") from None
    return str(told["message"]) if told.get("changed") else ""


def _kept_elsewhere(program: str, data_dir: str) -> str:
    """A clause on the backups that repositories hold; empty when they hold none."""
    try:
        told = ask(program, "kept")
    except ProgramError as error:
        raise PostgresError(
            f"There are no data in {data_dir}, and whether a repository has backups of them cannot be told: {error} "
            "Make that work first, or set mesh_empty_database to the mesh's name to begin without asking."
        ) from None
    return str(told["found"])


def _states(timers: tuple[str, ...]) -> list[dict[str, str]]:
    """Properties of each timer, in order."""
    if not timers:
        return []
    properties = "LoadState,UnitFileState,ActiveState,NeedDaemonReload"
    told = _systemctl("show", f"--property={properties}", *timers)
    return [dict(line.split("=", 1) for line in block.splitlines()) for block in told.strip().split("\n\n")]


def _systemctl(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *arguments], capture_output=True, text=True, check=False, timeout=SYSTEMCTL_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PostgresError(f"systemctl {arguments[0]} failed: {error}.") from None
    if done.returncode != 0:
        raise PostgresError(f"systemctl {arguments[0]} failed: {last_line(done.stderr)}.")
    return done.stdout

"""pgBackRest of one stanza: asked and told, whoever it runs as and wherever."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from .archive import Archive, newest_archive, parse_listing
from .command import LOOK_TIMEOUT_S, RUN_TIMEOUT_S, BackupError, Done, run
from .continuity import gaps, name_of, split
from .info import KINDS, Backup, Info, parse_info
from .live import ask, look
from .spec import BackupSpec
from .targets import target_options

CHECK_TIMEOUT_S = 300.0
LIST_TIMEOUT_S = 600.0
NOT_EMPTY = 40
"""Exit code of a restore into a folder that has files."""
_WAITING = """
SELECT string_agg(left(name, 24), ' ') FROM pg_ls_archive_statusdir() WHERE name ~ '^[0-9A-F]{24}[.]ready$'
"""
_TYPES = {ours: theirs for theirs, ours in KINDS.items()}
_VERIFIED = re.compile(
    r"\s*(archiveId|backup): ([^,]+),(?: status: (\w+),)? total (?:WAL|files) checked: (\d+), .*: (\d+)"
)


class Engine:
    """All methods raise BackupError with one sentence."""

    def __init__(self, spec: BackupSpec) -> None:
        self.spec = spec

    def argv(self, command: str, *options: str, offline: bool = False, repository: int = 0) -> list[str]:
        """The whole command; `repository` 0 leaves the choice to pgBackRest."""
        prefix = self.spec.commands.offline if offline else self.spec.commands.postgres
        chosen = [f"--repo={repository}"] if repository else []
        own = ["pgbackrest", f"--config={self.spec.config}", f"--stanza={self.spec.stanza}", *chosen]
        return [*prefix, *own, command, *options]

    def info(self, *, offline: bool = False) -> Info:
        """What the repositories hold. A repository without a stanza is no error: `Info.backups` is empty then."""
        argv = self.argv("info", "--output=json", offline=offline)
        return parse_info(self._told(argv, "Asking for the backups", LIST_TIMEOUT_S))

    def readable_info(self, *, offline: bool = False) -> Info:
        """The same, and every repository could be read."""
        info = self.info(offline=offline)
        for each in info.repositories:
            if each.code not in (0, 1, 2, 3):
                raise BackupError(f"Repository {each.number} cannot be read: {each.message}.")
        return info

    def ready(self, *, resumed: bool = False) -> tuple[bool, str, dict[int, str]]:
        """(whether anything was made, what was seen, repository → first segment of a new beginning).

        What is made is the stanza, a first full backup in every repository, and with `resumed` (nothing made backups
        until now) another one where WAL was written meanwhile that no repository will ever get. Refuses repositories
        of another cluster (their system identifier is not the live one's).
        """
        live, info = look(self.spec), self.readable_info()
        for each in info.repositories:
            if each.system_id not in ("", live.system_id):
                raise BackupError(
                    f"Repository {each.number} holds backups of another cluster (system identifier {each.system_id}, "
                    f"this one has {live.system_id}); restore them with playbooks/restore.yml, or move the repository "
                    "away to begin anew."
                )
        made = []
        if any(each.code in (1, 3) for each in info.repositories) or not info.repositories:
            self._told(self.argv("stanza-create"), "Making the stanza", CHECK_TIMEOUT_S)
            made.append(f"stanza {self.spec.stanza}")
        numbers = [each.number for each in self.spec.repositories]
        empty = [number for number in numbers if not info.of(number)]
        cut_off = [number for number in numbers if resumed and number not in empty and self._cut_off(info, number)]
        begun = {}
        for full in self._backup("full", [*empty, *cut_off]):
            made.append(f"full backup {full.label} in repository {full.repository}")
            if full.repository in cut_off:
                made[-1] += ", because what was written while backups were off is not in its archive"
                begun[full.repository] = full.wal_start
        there = f"{len(info.backups)} backups are there"
        return bool(made), f"made {', '.join(made)}" if made else there, begun

    def _cut_off(self, info: Info, repository: int) -> bool:
        """Whether recovery from the newest backup of a repository will never reach what is written now."""
        # In this order: what is archived in between is in the listing.
        live, waiting = look(self.spec), ask(self.spec, _WAITING, "Asking PostgreSQL what waits to be archived").split()
        archive, newest = self.segments(repository), info.newest(repository=repository)
        if newest is None or newest.archive != archive.name or not live.current:
            return False
        line, number = split(live.current, live.segment_bytes)
        before = name_of(line, number - 1, live.segment_bytes)
        found = gaps(
            [*archive.segments, *waiting],
            [newest],
            histories=archive.histories,
            newest=before,
            segment_bytes=live.segment_bytes,
        )
        # The history of a timeline that has just begun is on its way.
        return any(not gap.last.endswith(".history") for gap in found)

    def backup(self, kind: str) -> list[Backup]:
        """Make a backup in every repository and return what was made; one that failed fails the whole, at the end.

        `kind` is full, differential or incremental; without an earlier full one pgBackRest makes that.
        """
        return self._backup(kind, [each.number for each in self.spec.repositories])

    def check(self) -> None:
        """`pgbackrest check`: a segment is switched and waited for in every repository."""
        self._told(self.argv("check"), "The check of the archive", CHECK_TIMEOUT_S)

    def segments(self, repository: int, *, offline: bool = False) -> Archive:
        """The archived WAL of the repository's newest archive (`15-1`), with the newest timeline's history file."""
        folder = f"archive/{self.spec.stanza}"
        listing = self.argv("repo-ls", "--recurse", "--output=json", folder, offline=offline, repository=repository)
        archive = newest_archive(parse_listing(self._told(listing, "Listing the archive", LIST_TIMEOUT_S)))
        if not archive.histories:
            return archive
        line = max(archive.histories)
        path = f"{folder}/{archive.name}/{line:08X}.history"
        text = self._told(
            self.argv("repo-get", path, offline=offline, repository=repository), f"Reading {path}", LOOK_TIMEOUT_S
        )
        return dataclasses.replace(archive, histories={line: text})

    def restore(
        self,
        data_dir: str,
        target: str = "latest",
        *,
        repository: int = 0,
        archive_off: bool = False,
        offline: bool = True,
        options: Sequence[str] = (),
        timeout_s: float = RUN_TIMEOUT_S,
    ) -> Done:
        """`pgbackrest restore` into `data_dir` (empty or missing), which the next start of PostgreSQL recovers.

        `target` is `latest`, a backup's label (recovery to that backup's own end) or a time of RFC 3339. `repository`
        0 takes the first one that works. `archive_off` keeps the restored cluster out of the archive. `options` go to
        pgBackRest as they are. Returns what pgBackRest said (log level info, on stdout).
        """
        wanted = [
            f"--pg1-path={data_dir}",
            "--log-level-console=info",
            *target_options(target),
            *(["--archive-mode=off"] if archive_off else []),
            *options,
        ]
        if "--delta" not in options:
            self._demand_empty(data_dir, offline=offline)
        numbers = [each.number for each in self.spec.repositories]
        attempts = [repository] if repository or len(numbers) < 2 else [0, *numbers]
        complaints: dict[str, None] = {}
        for attempt in attempts:
            # What an attempt left behind is whole or not there file by file, which is what --delta compares.
            again = ["--delta"] if complaints and "--delta" not in wanted else []
            done = run(self.argv("restore", *wanted, *again, offline=offline, repository=attempt), timeout_s=timeout_s)
            if done.returncode == 0:
                return done
            complaints[done.complaint] = None
            if done.returncode == NOT_EMPTY:
                break
        raise BackupError(f"The restore into {data_dir} failed, pgbackrest says: {'; then '.join(complaints)}.")

    def verify(self, repository: int) -> list[str]:
        """What `pgbackrest verify` finds wrong, one sentence each; its exit code is 0 whatever it finds."""
        argv = self.argv("verify", "--output=text", "--verbose", repository=repository)
        return parse_verify(self._told(argv, "The verification of the repository", RUN_TIMEOUT_S), repository)

    def _backup(self, kind: str, repositories: Sequence[int]) -> list[Backup]:
        if not repositories:
            return []
        before = {(each.repository, each.label) for each in self.info().backups}
        failures = []
        for number in repositories:
            done = run(self.argv("backup", f"--type={_TYPES[kind]}", repository=number), timeout_s=RUN_TIMEOUT_S)
            if done.returncode != 0:
                failures.append(f"in repository {number} failed, pgbackrest says: {done.complaint}")
        made = [each for each in self.info().backups if (each.repository, each.label) not in before]
        if failures:
            well = "".join(f"; {each.label} was made in repository {each.repository}" for each in made)
            raise BackupError(f"The {kind} backup {'; '.join(failures)}{well}.")
        broken = [each.label for each in made if each.error]
        if broken:
            raise BackupError(
                f"The {kind} backup {', '.join(broken)} was made, but pgBackRest found pages with wrong checksums in "
                "the database; look at its log and restore an earlier backup where the data are needed."
            )
        if len(made) < len(repositories):
            raise BackupError(f"The {kind} backup ended well and {len(made)} of {len(repositories)} are there.")
        return made

    def _demand_empty(self, data_dir: str, *, offline: bool) -> None:
        """Because a second attempt compares with what is there, and would overwrite what was somebody's."""
        prefix = self.spec.commands.offline if offline else self.spec.commands.postgres
        done = run([*prefix, "find", data_dir, "-mindepth", "1", "-print", "-quit"])
        if done.returncode != 0 and "No such file" not in done.stderr:
            raise BackupError(f"{data_dir} cannot be looked into: {done.complaint}.")
        if done.stdout.strip():
            raise BackupError(
                f"{data_dir} is not empty (it has {done.stdout.strip()}), and a restore takes an empty or missing "
                "folder; move it away first."
            )

    def _told(self, argv: list[str], what: str, timeout_s: float) -> str:
        done = run(argv, timeout_s=timeout_s)
        if done.returncode != 0:
            raise BackupError(f"{what} failed, pgbackrest says: {done.complaint}.")
        return done.stdout


def parse_verify(text: str, repository: int) -> list[str]:
    """Sentences on what `verify --output=text --verbose` found wrong in a repository.

    A status of ok must be there: also with a wrong passphrase the exit code is 0.
    """
    found = []
    lines = text.splitlines()
    for line, detail in zip(lines, [*lines, ""][1:], strict=True):
        match = _VERIFIED.match(line)
        if match and (match.group(3) not in (None, "valid") or match.group(4) != match.group(5)):
            what = "archive" if match.group(1) == "archiveId" else "backup"
            told = f"{match.group(5)} of {match.group(4)} files are valid ({detail.strip()})"
            found.append(f"Repository {repository}: of {what} {match.group(2)} only {told}.")
    if not found and not any(line.strip() == "status: ok" for line in lines):
        rest = [line.strip() for line in lines if line.strip() and not line.startswith("stanza:")]
        said = ", ".join(rest[:2]) or "nothing"
        found.append(f"Repository {repository} cannot be verified: pgbackrest says {said}.")
    return found

"""A deployed site whose backups are made, broken and used."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tests.testbed import Vm, database, playbook
from tests.testbed.database import psql
from tests.testbed.object_store import ObjectStore
from tests.testbed.paths import REPOSITORY
from tests.testbed.site import Site

PROGRAM = "/usr/local/sbin/aimesh-backup"
LIBRARY = "/usr/local/lib/aimesh/python"
CONFIGURATION = "/etc/aimesh/backup/pgbackrest.conf"
PROOF = "/var/lib/aimesh/drills/restore.json"
ASIDE = "/var/tmp/aside"
ARCHIVER = """
SELECT (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'), last_archived_wal
FROM pg_stat_archiver
"""
"""Number of files that wait, and the name of what was archived last."""
SPARE = 2 << 20
"""Bytes; enough for a few segments with little in them, too little for a backup."""


@dataclass
class Backed:
    """`arguments` are what every run on this site gets."""

    site: Site
    arguments: tuple[str, ...] = ()

    @property
    def vm(self) -> Vm:
        """The host of the database."""
        return self.site.vms[-1]

    @property
    def plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = json.loads(self.vm.run("cat /var/lib/aimesh/applied-plan.json"))
        return plan

    @property
    def repository(self) -> str:
        """Folder of the local repository."""
        return next(str(each["path"]) for each in self.plan["backup"]["repositories"] if each["kind"] == "local")

    @property
    def archive(self) -> str:
        """Folder of the WAL of the cluster as it is now."""
        return self.vm.run(f"ls -d {self.repository}/archive/*/*-* | tail -1").strip()

    def run(self, name: str, *arguments: str, timeout: float = 900) -> playbook.Outcome:
        return self.site.run(f"playbooks/{name}.yml", *self.arguments, *arguments, timeout=timeout)

    def backup(self, kind: str) -> playbook.Outcome:
        return self.run("backup", "-e", f"mesh_backup_kind={kind}")

    def drill(self, *arguments: str) -> playbook.Outcome:
        return self.run("drill", "-e", "mesh_drill=restore", *arguments)

    def proof(self) -> dict[str, Any]:
        """What the last restore drill has left."""
        proof: dict[str, Any] = json.loads(self.vm.run(f"cat {PROOF}"))
        return proof

    def program(self, *words: str) -> tuple[int, str]:
        """Exit code and what the program on the host said."""
        told = self.vm.run(f"{PROGRAM} {shlex.join(words)} 2>&1; echo $?", timeout=600)
        said, _, code = told.rstrip().rpartition("\n")
        return int(code), said

    def status(self) -> dict[str, Any]:
        code, said = self.program("status", "--json")
        assert code == 0, said
        status: dict[str, Any] = json.loads(said.splitlines()[-1])["status"]
        return status

    def failed_checks(self, *arguments: str) -> dict[str, str]:
        """Checks of backups that are red now, with what they found."""
        self.site.verify(*self.arguments, *arguments, "--only", "backup")
        report = json.loads((REPOSITORY / "build" / self.site.name / "report-only.json").read_text())
        return {check["id"]: str(check["actual"]) for check in report["checks"] if check["status"] == "fail"}

    def sql(self, query: str) -> str:
        return self.vm.run(psql(self.plan, query)).strip()

    def archives(self, last: str) -> None:
        """Wait until nothing is to be archived and the name of what was archived last matches a pattern of Python."""
        deadline = time.monotonic() + 30
        while not re.fullmatch(rf"0\|{last}", self.sql(ARCHIVER)):
            assert time.monotonic() < deadline, self.sql("SELECT * FROM pg_stat_archiver")
            time.sleep(0.3)

    def newest_archived(self) -> str:
        """The newest archived segment, as the program on the host knows it."""
        script = (
            f"import sys; sys.path.insert(0, {LIBRARY!r}); "
            "from ansible_collections.aimesh.mesh.plugins.module_utils.backup import live, spec; "
            "print(live.look(spec.load_spec()).archived)"
        )
        return self.vm.run(f"python3 -IB -c {shlex.quote(script)}").strip()

    def timelines(self) -> set[str]:
        """Timelines that have anything in the archive."""
        names = self.vm.run(f"find {self.archive} -type f -printf '%f\\n'").split()
        return {name[:8] for name in names}

    def segments(self) -> list[str]:
        """Paths of the archived segments, in the order of their names."""
        return sorted(
            self.vm.run(f"find {self.archive} -type f -regex '.*/[0-9A-F]*-[0-9a-f]*[.]zst'").split(),
            key=lambda path: PurePosixPath(path).name,
        )

    @contextlib.contextmanager
    def without(self, *paths: str) -> Iterator[None]:
        """Files are away, and put back where they were."""
        self.vm.run(f"mkdir -p {ASIDE}")
        for number, path in enumerate(paths):
            self.vm.run(f"mv {shlex.quote(path)} {ASIDE}/{number}")
        try:
            yield
        finally:
            for number, path in enumerate(paths):
                self.vm.run(f"mv {ASIDE}/{number} {shlex.quote(path)}")

    @contextlib.contextmanager
    def kept(self, path: str) -> Iterator[str]:
        """A file may be changed in place; it is as before afterwards, with its owner and times."""
        self.vm.run(f"mkdir -p {ASIDE} && cp -p {shlex.quote(path)} {ASIDE}/kept")
        try:
            yield path
        finally:
            # In place: a container sees the file, not its name.
            quoted = shlex.quote(path)
            self.vm.run(f"cat {ASIDE}/kept > {quoted} && touch -r {ASIDE}/kept {quoted} && rm {ASIDE}/kept")

    def rewrite(self, path: str, pattern: str, text: str) -> None:
        """Replace what matches in a file, in place."""
        script = f"import re; t = open({path!r}).read(); n = re.sub({pattern!r}, {text!r}, t); assert n != t"
        self.vm.run(f"python3 -I -c {shlex.quote(f'{script}; open({path!r}, {chr(39)}w{chr(39)}).write(n)')}")

    @contextlib.contextmanager
    def wrong_passphrase(self) -> Iterator[None]:
        """The repository's passphrase is another one than it was made with."""
        with self.kept(CONFIGURATION):
            self.rewrite(CONFIGURATION, r"(?m)^(repo1-cipher-pass=).*", r"\g<1>" + "0" * 64)
            yield

    def largest_file_of(self, label: str) -> str:
        """Path of the largest file of a backup."""
        find = f"find {self.repository}/backup/*/{label} -type f -printf '%s %p\\n' | sort -n | tail -1"
        return self.vm.run(find).split()[1]

    def flip(self, path: str) -> None:
        """Change bytes in the middle of a file."""
        size = int(self.vm.run(f"stat -c %s {shlex.quote(path)}"))
        script = f"f=open({path!r},'r+b'); f.seek({size // 2}); b=f.read(8); f.seek({size // 2})"
        self.vm.run(f'python3 -I -c "{script}; f.write(bytes(x ^ 255 for x in b))"')

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """The repository is on a disk with room for a little WAL, where PostgreSQL's own processes see it."""
        enter = ""
        if database.in_containers(self.plan):
            pid = self.vm.run(f"docker inspect --format '{{{{.State.Pid}}}}' {database.CONTAINER}").strip()
            enter = f"nsenter --target {pid} --mount "
        small, repository = "/var/tmp/small-disk", self.repository
        size = int(self.vm.run(f"du -sb {repository} | cut -f1")) + SPARE
        owner = self.vm.run(f"stat -c %u:%g {repository}").strip()
        options = f"size={size},mode=0750,uid={owner.partition(':')[0]},gid={owner.partition(':')[2]}"
        self.vm.run(
            f"mkdir -p {small} && cp -a {repository}/. {small}/ && {enter}mount -t tmpfs -o {options} t {repository}"
        )
        try:
            self.vm.run(f"tar -C {small} -cf - . | {enter}tar -C {repository} -xf -")
            yield
        finally:
            # What was archived meanwhile is on the small disk; it goes back before that goes away.
            self.vm.run(f"{enter}tar -C {repository} -cf - . | tar -C {small} -xf -; {enter}umount {repository}")
            self.vm.run(f"cp -a --update {small}/. {repository}/ && rm -r {small}")

    def secrets(self) -> dict[str, str]:
        """Files of credentials on the host with what is in them, as far as it is long enough to look for."""
        listed = self.vm.run("cd /etc/aimesh/credentials && for f in *; do echo $f $(head -1 $f); done").splitlines()
        found = dict(line.split(" ", 1) for line in listed if " " in line)
        return {name: text.strip() for name, text in found.items() if len(text.strip()) >= 24}

    def holding(self, folder: str, texts: Iterable[str]) -> list[str]:
        """Files under a folder that have one of the texts in them, raw or as base64 at any offset."""
        patterns = "\n".join(form for text in texts for form in _forms(text))
        done = subprocess.run(
            ["docker", "exec", "-i", self.vm.container, "grep", "-rlaF", "-f", "-", folder],
            input=patterns, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        return done.stdout.split()

    def bytes_of(self, path: str) -> bytes:
        return base64.b64decode(self.vm.run(f"base64 {shlex.quote(path)}"))


def wish(**settings: Any) -> tuple[str, ...]:
    """Arguments of an inventory with these settings of backups."""
    return ("-e", json.dumps({"mesh_backup": settings}))


def settings_for(store: ObjectStore) -> dict[str, Any]:
    """`mesh_backup.s3` of an inventory that backs up into object storage too."""
    names = ("endpoint", "port", "region", "bucket", "ca")
    return {name: getattr(store, name) for name in names} | {"path": "/aimesh", "uri_style": "path"}


def give_keys(backed: Backed, store: ObjectStore) -> None:
    backed.site.add_secret("backup_s3_key", store.key)
    backed.site.add_secret("backup_s3_secret", store.secret)


def segment_name(path: str) -> str:
    """Name of the segment in a file of the archive."""
    return PurePosixPath(path).name[:24]


def backing(site: Backed) -> Iterator[Backed]:
    """A deployed site, which makes backups while stories run and none afterwards."""
    yield site
    outcome = site.run("deploy", *wish(engine="none"))
    assert outcome.code == 0, outcome.output[-6000:]
    assert site.vm.run("systemctl list-timers --no-legend 'aimesh-backup-*'") == ""


def _forms(text: str) -> list[str]:
    """The text itself, and what of its base64 is the same whatever stands before and after it."""
    forms = [text]
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + text.encode()).decode()
        # Characters that share bits with what stands before or after the text.
        forms.append(coded[(0, 2, 3)[offset] : len(coded.rstrip("=")) - 1])
    return forms


def said(outcome: playbook.Outcome, *words: str) -> str:
    """The output of a run that has to fail, on one line, and has to say `words` without showing a traceback."""
    assert outcome.code != 0, outcome.output[-3000:]
    text = " ".join(outcome.output.split())
    for word in words:
        assert word in text, f"nothing says {word!r}:\n{outcome.output[-4000:]}"
    assert "Traceback" not in text
    return text

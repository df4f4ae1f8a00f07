"""A data host in a folder: its specification, and programs that answer as they are told."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec, load_spec

RECORDED = Path(__file__).with_name("recorded")
VERSIONS = ("2.45", "2.55")
AGE = "printf 'age-encryption.org/v1\\n'; tr '\\000-\\377' '\\200-\\377\\000-\\177'"
"""Not what age does, but as illegible."""


def document(root: Path) -> dict[str, Any]:
    home = str(root)
    return {
        "schema": 1,
        "mesh": "test",
        "engine": "pgbackrest",
        "stanza": "aimesh",
        "config": f"{home}/pgbackrest.conf",
        "database": "mesh",
        "data_dir": f"{home}/data",
        "version": "15",
        "socket_dir": f"{home}/run",
        "port": 5432,
        "retention_days": 14,
        "archive_timeout_s": 30,
        "repositories": [{"number": 1, "kind": "local"}, {"number": 2, "kind": "s3"}],
        "root": home,
        "dump": {"folder": f"{home}/dumps", "keep": 2},
        "configuration": {"folder": f"{home}/configuration", "keep": 2, "paths": [f"{home}/etc", f"{home}/nothing"]},
        "escrow": f"{home}/escrow",
        "scratch": f"{home}/scratch",
        "drill_port": 54329,
        "replay": {"still_s": 300, "limit_s": 43200},
        "recipients": f"{home}/recipients",
        "state": f"{home}/state",
        "metrics": f"{home}/aimesh_backup.prom",
        "redis": None,
        "commands": {
            "postgres": ["env", "ROLE=postgres"],
            "offline": ["env", "ROLE=offline"],
            "age": [],
            "scratch_server": [],
            "scratch_client": [],
            "scratch_end": [],
        },
    }


@dataclass(frozen=True)
class Host:
    root: Path

    @property
    def path(self) -> str:
        return str(self.root / "backup.json")

    @property
    def spec(self) -> BackupSpec:
        return load_spec(self.path)

    def specify(self, **changes: Any) -> BackupSpec:
        (self.root / "backup.json").write_text(json.dumps(document(self.root) | changes), encoding="utf-8")
        return self.spec

    def program(self, name: str, script: str) -> None:
        """`script` is of sh; each call's words are in `calls(name)`."""
        path = self.root / "bin" / name
        path.write_text(f'#!/bin/sh\necho "$ROLE $*" >> {self.root}/{name}.calls\n{script}\n', encoding="utf-8")
        path.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        path = self.root / f"{name}.calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def psql(self, **changes: Any) -> None:
        """A cluster that is where the recorded repositories are."""
        live = {
            "system_id": "7713121221178967528",
            "segment_bytes": 16777216,
            "archive_mode": "on",
            "in_recovery": False,
            "current": "00000002000000000000000F",
            "archived": "00000002000000000000000E",
            "archived_at": 1795851002.5,
            "failed": "",
            "failed_at": 0,
            "waiting": 0,
            "database_bytes": 1000,
            "cluster_bytes": 23000000,
            "now": 1795851012.5,
        } | changes
        (self.root / "live.json").write_text(json.dumps(live) + "\n", encoding="utf-8")
        size = f"*database_size*) echo {live['database_bytes']} ;;"
        self.program("psql", f'case "$*" in *json_build*) cat {self.root}/live.json ;; {size} esac')

    def pgbackrest(self, listing: str | None = None, *, version: str = "2.45", extra: str = "") -> None:
        """Answers recorded of a repository with two timelines; `extra` are cases of sh that come first."""
        archive = self.root / "archive.json"
        archive.write_text(listing or recorded(f"archive-{version}.json"), encoding="utf-8")
        self.program(
            "pgbackrest",
            f"""case "$*" in
{extra}
*" info "*) cat {RECORDED}/info-{version}.json ;;
*" repo-ls --recurse "*) cat {archive} ;;
*" repo-get "*.history*) printf '1\\t0/D0000A8\\tbefore 2026-11-28 07:29:55.621066+00\\n\\n' ;;
esac""",
        )


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def without(listing: str, *segments: str) -> str:
    """The listing of the archive after these segments (or history files) were deleted."""
    entries = {
        path: entry
        for path, entry in json.loads(listing).items()
        if not any(f"/{segment}" in path and ".backup" not in path for segment in segments)
    }
    return json.dumps(entries)


def make(root: Path) -> Host:
    (root / "bin").mkdir()
    (root / "etc").mkdir()
    (root / "etc" / "mesh.conf").write_text("listen 8080\n", encoding="utf-8")
    (root / "recipients").write_text("age1example\n", encoding="utf-8")
    os.environ["PATH"] = f"{root / 'bin'}:{os.environ['PATH']}"
    host = Host(root)
    host.specify()
    host.program("age", AGE)
    host.program("pg_dump", "echo PGDMP of the database")
    host.psql()
    host.pgbackrest()
    return host

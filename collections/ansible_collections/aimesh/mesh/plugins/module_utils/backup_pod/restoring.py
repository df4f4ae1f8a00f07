"""A restore in a pod of its own: the mesh's PostgreSQL is down, and its volume is here."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.lock import run_lock
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod.server import PodManager, PodSupervisor
from ansible_collections.aimesh.mesh.plugins.module_utils.database_restore import Restore
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import cluster_of

HOME = "/var/lib/postgresql"
"""The volume: the record of a restore lies in it, so that whoever starts a server on these data finds it."""


class PodRestore(Restore):
    """Leaves no server behind: a StatefulSet starts the mesh's own on what is there then."""

    @property
    def server(self) -> PodManager:
        return cast(PodManager, self._manager)

    def _prepare(self) -> None:
        """Nothing: the server has its configuration from a ConfigMap."""

    def _settle(self) -> None:
        self.server.stop()

    def _put_back(self, aside: Path | None, *, whole: bool) -> None:
        super()._put_back(aside, whole=whole)
        self.server.stop()


def look(spec: BackupSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a restore would do. Raises BackupError for what can be refused before anything is touched."""
    found = _restore(spec, given).look(bool(given["confirmed"]))
    lines = [f"restores to {given['target']} from {found.text}"]
    if found.interrupted:
        lines.append(found.interrupted)
    if found.live:
        lines.append(f"the database in {spec.data_dir} is put aside")
    return {"message": "", "lines": lines}


def restore(spec: BackupSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises BackupError and PostgresError; one whole database is there then, or the record says that none is."""
    work = _restore(spec, given)
    with run_lock(spec.state, "restore"):
        done = work.run(work.look(bool(given["confirmed"])))
    lines = [done.text, ", ".join(f"{stage} {seconds} s" for stage, seconds in done.stages.items())]
    if done.aside:
        size = f"{done.aside_bytes / 1e6:.0f} MB"
        lines.append(
            f"what was there before is in {done.aside} of the volume ({size}); when nobody needs it: kubectl exec "
            f"postgresql-0 --container postgresql -- rm -r {done.aside}"
        )
    return {"message": done.text, "lines": lines, "stages": done.stages, "aside": done.aside}


def digests(folder: str) -> dict[str, str]:
    """Name of each file of the configuration → SHA-256 of what it has."""
    found = [each for each in sorted(Path(folder).iterdir()) if each.is_file()]
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in found}


def _restore(spec: BackupSpec, given: Mapping[str, Any]) -> PodRestore:
    cluster = cluster_of(given["cluster"])
    return PodRestore(
        spec,
        cluster,
        cast(Any, PodSupervisor(PodManager(cluster))),
        state_dir=HOME,
        run_id=str(given["run_id"]),
        target=str(given["target"]),
        repository=int(given["repository"]),
        tell=lambda text: print(text, file=sys.stderr, flush=True),
    )

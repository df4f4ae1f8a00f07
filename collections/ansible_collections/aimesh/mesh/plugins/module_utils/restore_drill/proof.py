"""One drill from its restore to its proof; the scratch cluster goes whatever happens."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.engine import Engine
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.info import Backup
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.lock import run_lock
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.metrics import publish
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.status import DRILL, status

from .dump_proof import try_dump
from .scratch import Scratch, newest_restored
from .verdict import RTO_STAGES, Row, complaint, loss_of

SCHEMA = 1
PASSED, FAILED = "passed", "failed"
SPARE_BYTES = 256 * 1024 * 1024
"""What must stay free for WAL of the live database."""


def hold(
    spec: BackupSpec,
    rows: Sequence[Row],
    *,
    limit: str,
    disaster: float,
    promised: tuple[float, float],
    named: dict[str, str],
    identity: str = "",
    scratch: Scratch | None = None,
) -> dict[str, Any]:
    """The proof; a drill that failed has one too. `named` is `run_id`, `moment`, `namespace` and `prefix` of rows.

    `identity` is the mesh's own key of age, which opens the newest dump.
    Raises BackupError only when another run has the repository for too long.
    """
    proof: dict[str, Any] = {
        "schema": SCHEMA, "run_id": named["run_id"], "finished": 0.0, "verdict": FAILED, "moment": named["moment"],
        "rpo_s": None, "rto_s": None, "lost": None, "acknowledged": len(rows), "stages": {}, "bytes": None,
        "megabytes_per_s": None, "raw_copy_s": None, "forecast": None, "agents": None, "label": "",
        "repository": None, "limit": limit, "dump": None, "message": "",
    }  # fmt: skip
    scratch = scratch or Scratch(spec)
    with run_lock(spec.state, "restore drill"):
        try:
            found = _newest_backup(spec)
            proof |= {"label": found.label, "repository": found.repository}
            _demand_room(spec, found)
            proof |= _measured(scratch, rows, limit, disaster, promised, named)
            proof["dump"] = try_dump(spec, scratch, identity)
            # What was measured tells more of a disaster than the dump, which counts for no recovery point.
            proof["message"] = proof["message"] or (proof["dump"] or {}).get("message", "")
        except BackupError as error:
            proof["message"] = str(error)
        finally:
            _remove(scratch, proof)
    proof["stages"] = dict(scratch.stages)
    proof["verdict"] = FAILED if proof["message"] else PASSED
    proof["finished"] = round(time.time(), 3)
    return proof


def keep(spec: BackupSpec, proof: dict[str, Any]) -> None:
    """The proof is on the host, and its numbers are published. Raises OSError."""
    path = Path(spec.state, DRILL)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(str(path), proof)
    publish(spec.metrics, status(spec))


def forecast(size_bytes: int, stages: Mapping[str, float]) -> dict[str, float]:
    """What a database twice as large would take: the restore grows with it, the replay of WAL does not."""
    rto_s = sum(stages[stage] for stage in RTO_STAGES) + stages["restore"]
    return {"size_bytes": 2 * size_bytes, "rto_s": round(rto_s, 2)}


def _demand_room(spec: BackupSpec, backup: Backup) -> None:
    """A full disk would stop the live database, whose file system this can be."""
    # The yardstick is a second copy.
    need, free = 2 * backup.size_bytes + SPARE_BYTES, shutil.disk_usage(spec.scratch).free
    if free < need:
        raise BackupError(
            f"The drill needs {need / 1e6:.0f} MB in {spec.scratch} and {free / 1e6:.0f} MB are free; make room there."
        )


def _newest_backup(spec: BackupSpec) -> Backup:
    newest = Engine(spec).info().newest()
    if newest is None:
        raise BackupError("No repository has a backup without errors; make one with playbooks/backup.yml.")
    return newest


def _measured(
    scratch: Scratch,
    rows: Sequence[Row],
    limit: str,
    disaster: float,
    promised: tuple[float, float],
    named: dict[str, str],
) -> dict[str, Any]:
    scratch.prepare()
    scratch.restore(limit)
    size, copy_s = scratch.size_bytes(), scratch.copied_s()
    scratch.recover()
    begun = time.monotonic()
    mine = f"namespace = '{named['namespace']}' AND name LIKE '{named['prefix']}%'"
    query = f"SELECT name FROM agents WHERE {mine}"  # noqa: S608  # both are ours
    there = scratch.ask(query, "Reading the rows of the drill out of the restored database").split()
    agents = int(scratch.ask("SELECT count(*) FROM agents", "Counting the agents of the restored database"))
    scratch.stages["compare"] = round(time.monotonic() - begun, 2)
    rto_s = round(sum(scratch.stages[stage] for stage in RTO_STAGES), 2)
    loss = loss_of(rows, there, disaster)
    return {
        "rpo_s": loss.rpo_s,
        "rto_s": rto_s,
        "lost": loss.rows,
        "bytes": size,
        "megabytes_per_s": round(size / 1e6 / max(0.01, scratch.stages["restore"]), 1),
        "raw_copy_s": copy_s,
        "forecast": forecast(size, scratch.stages),
        "agents": agents,
        "message": complaint(loss, rto_s, limit, newest_restored(scratch.log), promised),
    }


def _remove(scratch: Scratch, proof: dict[str, Any]) -> None:
    try:
        scratch.remove()
    except BackupError as error:
        proof["message"] = proof["message"] or str(error)

"""`aimesh-backup` in a pod: the program of every host, and what only a controller asks for there.

What a controller tells besides comes as one line of JSON on standard input, so that no secret is in any argument. The
answer is the last line of standard output, as for the other verbs with `--json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup import cli
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.live import look
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import DEFAULT_PATH, load_spec
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod import (
    escrow,
    exporting,
    restoring,
    scheduler,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod.waking import Waker
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill import moment as disaster
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill import proof as drill

SCHEDULE = "/etc/aimesh/backup/schedule.json"
Given = dict[str, Any]


def _schedule(given: Given) -> dict[str, Any]:
    spec = load_spec()
    # The program comes before the pod that is told the port.
    if given.get("metrics_port"):
        exporting.export(spec.metrics, int(given["metrics_port"]))
    scheduler.serve(str(Path(sys.argv[0]).absolute()), SCHEDULE, spec.state, Waker(spec))
    return {"message": "The scheduler has ended."}


def _seal(given: Given) -> dict[str, Any]:
    changed = escrow.keep(load_spec().escrow, str(given["digest"]), str(given["content"]))
    return {"message": "The secrets are in escrow.", "changed": changed}


def _sealed(_given: Given) -> dict[str, Any]:
    return {"message": "", **escrow.kept(load_spec().escrow)}


def _moment(given: Given) -> dict[str, Any]:
    spec = load_spec()
    return {"message": "", "limit": disaster.choose(given["moment"], spec.archive_timeout_s, lambda: look(spec))}


def _drill(given: Given) -> dict[str, Any]:
    spec = load_spec()
    proof = drill.hold(
        spec,
        [(str(name), float(at)) for name, at in given["rows"]],
        limit=str(given["limit"]),
        disaster=float(given["disaster"]),
        promised=(float(given["rpo_s"]), float(given["rto_s"])),
        identity=str(given["identity"]),
        named={name: str(given[name]) for name in ("run_id", "moment", "namespace", "prefix")},
    )
    drill.keep(spec, proof)
    return {"message": proof["message"], "proof": proof}


def _restore(given: Given) -> dict[str, Any]:
    return restoring.restore(load_spec(), given)


def _look(given: Given) -> dict[str, Any]:
    return restoring.look(load_spec(), given)


def _files(_given: Given) -> dict[str, Any]:
    return {"message": "", "files": restoring.digests(str(Path(DEFAULT_PATH).parent))}


VERBS: dict[str, Callable[[Given], dict[str, Any]]] = {
    "schedule": _schedule,
    "seal": _seal,
    "sealed": _sealed,
    "moment": _moment,
    "drill": _drill,
    "restore-look": _look,
    "restore-database": _restore,
    "files": _files,
}
TOLD = ("seal", "moment", "drill")
"""Verbs that read a line first; those of a restore have theirs as an argument, since nobody is there to write it."""


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in VERBS:
        return cli.main(words)
    verb = words[0]
    try:
        given = json.loads(sys.stdin.readline() if verb in TOLD else words[1] if len(words) > 1 else "{}")
        with cli.private():
            answer = {"ok": True, **VERBS[verb](given)}
    except (BackupError, PostgresError, StateFileError) as error:
        answer = {"ok": False, "message": str(error)}
    except (OSError, ValueError, KeyError) as error:
        answer = {"ok": False, "message": f"{verb} failed: {type(error).__name__} {error}."}
    print(json.dumps(answer, sort_keys=True), flush=True)
    return 0 if answer["ok"] else 1

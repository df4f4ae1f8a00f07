"""What the exporter of the host publishes of its backups, as one file of the text format. Pure but for `publish`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import write_atomic

from .history import KINDS

BACKUPS = ("full", "differential", "incremental")
NOTHING_THERE = (1, 2, 3)
"""Codes of a repository that was read and has no backup, such as one whose disk is another now."""
HELP = {
    "aimesh_backup_last_success_timestamp_seconds": "When this type last succeeded; incremental counts any.",
    "aimesh_backup_last_run_failed": "1 when the last run of this type failed.",
    "aimesh_backup_size_bytes": "Size of the newest backup of this type.",
    "aimesh_backup_repository_bytes": "What backups and archived WAL take in a repository.",
    "aimesh_backup_wal_missing_segments": "WAL segments that retained backups need and no repository may lack.",
    "aimesh_drill_last_success_timestamp_seconds": "When a restore drill last succeeded.",
    "aimesh_drill_rto_seconds": "Time to recover in the last drill that succeeded.",
    "aimesh_drill_rpo_seconds": "Loss of acknowledged writes in the last drill that succeeded, as time.",
}


def render(document: Mapping[str, Any]) -> str:
    """The text for a document of `status`. What is not known is left out and not made up."""
    samples: dict[str, list[tuple[str, float]]] = {name: [] for name in HELP}

    def add(name: str, label: str, value: float | None) -> None:
        if value is not None:
            samples[name].append((label, float(value)))

    for kind in KINDS:
        at, size = _newest(document, kind)
        add("aimesh_backup_last_success_timestamp_seconds", f'{{type="{kind}"}}', at)
        add("aimesh_backup_size_bytes", f'{{type="{kind}"}}', size)
        history = document["history"].get(kind)
        if history is not None:
            add("aimesh_backup_last_run_failed", f'{{type="{kind}"}}', float(history["failed_last"]))
    for each in document["repositories"]:
        add("aimesh_backup_repository_bytes", f'{{repository="{each["number"]}"}}', each["bytes"])
    archive = document["archive"]
    if archive is not None:
        add("aimesh_backup_wal_missing_segments", "", archive["missing_segments"])
    drill = document["drill"]
    if drill is not None and drill.get("verdict") == "passed":
        add("aimesh_drill_last_success_timestamp_seconds", "", drill.get("finished"))
        add("aimesh_drill_rto_seconds", "", drill.get("rto_s"))
        add("aimesh_drill_rpo_seconds", "", drill.get("rpo_s"))
    return "".join(_lines(samples))


def publish(path: str, document: Mapping[str, Any]) -> None:
    """Raises OSError. Without the exporter's folder there is nobody to publish for."""
    if Path(path).parent.is_dir():
        write_atomic(path, render(document).encode(), mode=0o644)


def _newest(document: Mapping[str, Any], kind: str) -> tuple[float | None, float | None]:
    """(when, how large): what the repositories hold counts for backups, and the record of runs for the rest."""
    if kind == "incremental" and any(each["code"] in NOTHING_THERE for each in document["repositories"]):
        return 0.0, None
    if kind in BACKUPS and document["backups"]:
        # An incremental one is due so often that a newer one of another kind is as good.
        kinds = BACKUPS if kind == "incremental" else (kind,)
        newest: dict[int, Mapping[str, Any]] = {}
        for each in document["backups"]:
            if each["kind"] in kinds and not each["error"]:
                newest[each["repository"]] = max(each, newest.get(each["repository"], each), key=_stop)
        # The repository that is furthest behind says how well the others can be done without.
        oldest = min(newest.values(), key=_stop, default=None)
        return (oldest["stop"], oldest["size_bytes"]) if oldest else (None, None)
    success = (document["history"].get(kind) or {}).get("success")
    return (success["finished"], success["size_bytes"] or None) if success else (None, None)


def _stop(backup: Mapping[str, Any]) -> float:
    return float(backup["stop"])


def _lines(samples: Mapping[str, Iterable[tuple[str, float]]]) -> Iterable[str]:
    for name, values in samples.items():
        given = list(values)
        if given:
            yield f"# HELP {name} {HELP[name]}\n# TYPE {name} gauge\n"
            yield from (
                f"{name}{label} {value:.10g}\n" if value < 1e9 else f"{name}{label} {value:.3f}\n"
                for label, value in given
            )

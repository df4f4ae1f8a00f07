"""What a drill has proven: which acknowledged rows the restored database has, and what was promised. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Row = tuple[str, float]
"""Name of an acknowledged row, and when it was acknowledged in seconds since the epoch."""
RTO_STAGES = ("restore", "start", "replay", "promote")


@dataclass(frozen=True)
class Loss:
    rows: int
    rpo_s: float
    """From the first lost row to the disaster; 0 when nothing was lost."""


def loss_of(rows: Sequence[Row], there: Iterable[str], disaster: float) -> Loss:
    """Trust ends at the first row that is not there, whatever is there after it."""
    found = set(there)
    lost = [at for name, at in rows if name not in found]
    return Loss(len(lost), round(max(0.0, disaster - min(lost)), 3) if lost else 0.0)


def complaint(loss: Loss, rto_s: float, limit: str, replayed: str, promised: tuple[float, float]) -> str:
    """Why the drill has failed, in one sentence; empty when it has passed. `promised` is (RPO, RTO) in seconds."""
    rpo, rto = promised
    told = f"{loss.rows} acknowledged rows, {loss.rpo_s:.1f} s, are lost"
    if replayed != limit:
        return (
            f"Recovery ended with {replayed or 'no archived WAL'} although {limit} was archived, and {told}: a segment "
            "between them is missing; look at aimesh-backup status and make a full backup."
        )
    if loss.rpo_s > rpo:
        return f"{told}, and mesh_targets.rpo_s promises {rpo:g} s; look at the archive with aimesh-backup status."
    if rto_s > rto:
        return (
            f"The restore took {rto_s:.1f} s, and mesh_targets.rto_s promises {rto:g} s; make full backups more often, "
            "or promise less."
        )
    return ""

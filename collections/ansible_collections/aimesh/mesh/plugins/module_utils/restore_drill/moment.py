"""When the disaster comes: what had been archived by then is all that a restore may use."""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.live import Live

WORST, NOW = "worst", "now"
BEFORE_S = 1.0
POLL_S = 0.2
SPARE_S = 30.0


def choose(
    moment: str,
    archive_timeout_s: float,
    look: Callable[[], Live],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """The newest archived segment at that moment; `worst` waits until the next one is just about to be archived.

    Raises BackupError when nothing is archived although rows are written.
    """
    first = look()
    if first.archiving_fails:
        raise BackupError(f"PostgreSQL could not archive {first.failed}, so a drill is lost before it begins.")
    if moment == NOW:
        return _archived(first)
    deadline = clock() + 4 * archive_timeout_s + SPARE_S
    live = first
    # What was archived before the rows came says nothing of when the next segment is due.
    while live.archived == first.archived or live.now - live.archived_at < archive_timeout_s - BEFORE_S:
        if clock() >= deadline:
            raise BackupError(
                f"In {4 * archive_timeout_s + SPARE_S:g} s PostgreSQL archived nothing at the pace of archive_timeout "
                f"({archive_timeout_s:g} s), the last was {first.archived or 'none'}; look at its log for why."
            )
        sleep(POLL_S)
        live = look()
    return _archived(live)


def _archived(live: Live) -> str:
    if not live.archived:
        raise BackupError("PostgreSQL has not archived any WAL yet; make a backup with playbooks/backup.yml first.")
    return live.archived

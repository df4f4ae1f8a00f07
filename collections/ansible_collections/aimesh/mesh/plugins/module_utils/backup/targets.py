"""What to restore to, as an operator writes it and as pgBackRest takes it. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from .command import BackupError

LATEST = "latest"
_LABEL = re.compile(r"\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})", re.IGNORECASE)


def target_kind(target: str) -> str:
    """`latest`, `label` or `time`. Raises BackupError for anything else."""
    if target == LATEST:
        return LATEST
    if _LABEL.fullmatch(target):
        return "label"
    if _TIME.fullmatch(target):
        instant(target)
        return "time"
    raise BackupError(
        f"{target!r} is nothing to restore to: allowed are latest, the label of a backup (20261128-030000F) and "
        "a time with its zone (2026-11-28T03:00:00Z)."
    )


def instant(target: str) -> datetime:
    """The time in UTC. Raises BackupError when there is no such day or hour."""
    try:
        return datetime.fromisoformat(target.upper().replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BackupError(f"{target} is no time that there is; write it like 2026-11-28T03:00:00Z.") from None


def target_options(target: str) -> list[str]:
    """The options of `pgbackrest restore`; the cluster is promoted when it gets there. Raises BackupError."""
    kind = target_kind(target)
    if kind == LATEST:
        return []
    if kind == "label":
        # A backup of a timeline that was left later is no ancestor of the latest; --target-timeline is refused here.
        timeline = "--recovery-option=recovery_target_timeline=current"
        return [f"--set={target}", "--type=immediate", timeline, "--target-action=promote"]
    text = instant(target).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return ["--type=time", f"--target={text}", "--target-action=promote"]

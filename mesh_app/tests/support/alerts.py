"""The alert receiver of the collection as a real process, and a UI that asks it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .binaries import REPOSITORY
from .mesh import Mesh

sys.path.append(str(REPOSITORY / "tests" / "support"))

import receiver_process
from receiver_process import ReceiverProcess, alert

__all__ = ["ReceiverProcess", "alert", "receiver_process", "remember_watchdog", "settings_of", "watched_ui"]


def settings_of(receiver: ReceiverProcess) -> dict[str, str]:
    return {"MESH_ALERTS_URL": receiver.url, "MESH_ALERT_TOKEN_FILE": str(receiver.token_file)}


@contextmanager
def watched_ui(mesh: Mesh, receiver: ReceiverProcess) -> Iterator[None]:
    """A second UI of the mesh, `ui-b`, with monitoring."""
    mesh.start_as("ui-b", "ui", settings_of(receiver))
    try:
        yield
    finally:
        mesh.stop("ui-b")


def remember_watchdog(receiver: ReceiverProcess, seconds_ago: float) -> None:
    """Restarts the receiver with a ledger in which the Watchdog came that long ago."""
    receiver.stop()
    line = alert("Watchdog") | {"received": time.time() - seconds_ago}
    with (receiver.ledger / "deliveries.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    receiver.start()

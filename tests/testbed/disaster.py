"""A database host loses its data under load: what the callers had been promised, what is left, and how long it took."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import bulk_rows, database
from .acknowledged_rows import Ledger
from .paths import REPOSITORY
from .vm import Vm

RPO_S = 60.0
STRAGGLERS_S = 2.0
"""An answer that was under way when the cluster was killed may arrive a little later."""
BEFORE_SWITCH_S = 1.0


@dataclass(frozen=True)
class Held:
    """What a disaster cost. Sizes in bytes, times in seconds."""

    moment: str
    size: int
    acknowledged: int
    lost: int
    rpo_s: float
    outage_s: float
    """From the kill to the first row that is acknowledged again."""
    run_s: float
    """Wall time of the playbook that brought the mesh back, verification included."""
    raw_copy_s: float
    raw_start_s: float

    @property
    def ratio(self) -> float:
        """The outage against a plain copy of the data directory and a start on it."""
        return self.outage_s / (self.raw_copy_s + self.raw_start_s)

    @property
    def problems(self) -> list[str]:
        found = []
        if not self.acknowledged:
            found.append(f"Nothing was acknowledged before the disaster ({self.moment}), so it proves nothing.")
        if self.rpo_s > RPO_S:
            found.append(
                f"Acknowledged rows of the last {self.rpo_s:.1f} s before the disaster ({self.moment}) are lost;"
                f" {RPO_S:.0f} s are allowed."
            )
        if self.outage_s == float("inf"):
            found.append(f"No row was acknowledged again after the disaster ({self.moment}).")
        return found

    @property
    def line(self) -> str:
        return (
            f"{self.moment:<22} {self.size / 1e6:7.0f} MB  RPO {self.rpo_s:5.1f} s ({self.lost} of {self.acknowledged}"
            f" rows lost)  outage {self.outage_s:6.1f} s = {self.ratio:.1f} × raw copy ({self.raw_copy_s:.1f} s)"
            f" + start ({self.raw_start_s:.1f} s); the run {self.run_s:.0f} s"
        )


def under_load(vm: Vm, plan: dict[str, Any]) -> None:
    """Two segments are archived while rows come as fast as callers send them."""
    for _ in range(2):
        database.await_archived(vm, plan)
    time.sleep(5)


def idle(vm: Vm, plan: dict[str, Any]) -> None:
    """The callers of `happen` write hardly anything; this waits longer than a segment stays open."""
    del vm
    time.sleep(plan["backup"]["archive_timeout_s"] + 10)


def before_switch(vm: Vm, plan: dict[str, Any]) -> None:
    """The open segment is as old as it ever gets."""
    database.await_archived(vm, plan)
    time.sleep(plan["backup"]["archive_timeout_s"] - BEFORE_SWITCH_S)


MOMENTS = {"under load": under_load, "idle": idle, "before a WAL switch": before_switch}


def happen(vm: Vm, plan: dict[str, Any], moment: str, restore: Callable[[], object]) -> Held:
    """Lose the database at a moment of MOMENTS while callers write, `restore` it, compare, and keep what was found."""
    copy_s, start_s, _ = bulk_rows.raw_copy_s(vm, plan)
    ledger = Ledger.of(vm, plan)
    quiet = moment == "idle"
    size = bulk_rows.size(vm, plan)
    with ledger.load(writers=1 if quiet else 4, pause_s=5.0 if quiet else 0.05):
        MOMENTS[moment](vm, plan)
        disaster = database.lose(vm, plan)
        begun = time.monotonic()
        restore()
        run_s = time.monotonic() - begun
        # A quiet caller needs a moment to notice.
        time.sleep(6 if quiet else 1)
    after = disaster + STRAGGLERS_S
    lost = ledger.lost(vm, plan, after)
    again = [at for _, at in ledger.rows if at > after]
    held = Held(
        moment=moment,
        size=size,
        acknowledged=sum(1 for _, at in ledger.rows if at <= after),
        lost=len(lost),
        rpo_s=max(disaster - lost[0][1], 0.0) if lost else 0.0,
        outage_s=(again[0] if again else float("inf")) - disaster,
        run_s=run_s,
        raw_copy_s=copy_s,
        raw_start_s=start_s,
    )
    _keep(plan["mesh"]["name"], held)
    return held


def kept(mesh: str) -> list[Held]:
    """What the disasters of a mesh have cost, oldest first."""
    path = _path(mesh)
    return [Held(**each) for each in json.loads(path.read_text())] if path.exists() else []


def _keep(mesh: str, held: Held) -> None:
    path = _path(mesh)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(each) for each in [*kept(mesh), held]], indent=1) + "\n")


def _path(mesh: str) -> Path:
    return REPOSITORY / "build" / mesh / "disasters.json"

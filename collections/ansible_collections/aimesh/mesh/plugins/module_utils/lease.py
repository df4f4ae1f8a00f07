"""The run lease of a mesh: one run at a time works on it, and a dead run does not block the next one for long.

`<state>/lease.json` on the state host. Times are seconds since the epoch on that host's clock. Whoever writes holds the
host lock.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json

NAME = "lease.json"
LIFETIME_S = 900.0
RENEW_AFTER_S = 30.0
"""A lease younger than this is left alone by a renewal: no write without need."""


class LeaseHeldError(Exception):
    """Another run has the lease; the message is one sentence for the operator."""

    def __init__(self, message: str, holder: Lease) -> None:
        super().__init__(message)
        self.holder = holder


class LeaseLostError(Exception):
    """This run had the lease and another run has it now; the message is one sentence for the operator."""


@dataclass(frozen=True)
class Lease:
    """Who works on the mesh. `pid` and `started` (kernel ticks) name the ansible-playbook process on `controller`."""

    run_id: str
    operator: str
    verb: str
    controller: str
    pid: int
    started: str
    since: float
    expires: float

    @property
    def holder(self) -> str:
        """The run in words: operator, verb and where it runs."""
        where = self.controller.split(":")[0]
        process = f"process {self.pid} on {where}"
        return f"{self.operator} ({self.verb}, run {self.run_id}, {process}, since {clock(self.since)})"


@dataclass(frozen=True)
class Grant:
    """The lease that a run now has, and from whom it took it (None when it was free or already its own)."""

    lease: Lease
    taken_from: Lease | None = None
    why: str = ""


def clock(moment: float) -> str:
    """A moment as UTC text to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))


def grant(current: Lease | None, wanted: Lease, now: float, take_over: str = "") -> Grant:
    """Decide whether `wanted` gets the lease.

    It does when the lease is free, its own, expired, or held by the run named in `take_over` (one that the caller knows
    to be dead, or that the operator named). Raises LeaseHeldError otherwise.
    """
    if current is None:
        return Grant(wanted)
    if current.run_id == wanted.run_id:
        return Grant(replace(wanted, since=current.since))
    if current.expires <= now:
        return Grant(wanted, current, f"it expired at {clock(current.expires)}")
    if take_over == current.run_id:
        return Grant(wanted, current, "its process is gone or its takeover was asked for")
    raise LeaseHeldError(held_message(current), current)


def held_message(holder: Lease) -> str:
    """Why a run has to wait, until when, and how not to."""
    return (
        f"Another run works on this mesh: {holder.holder}. Wait for it to end; its lease expires at "
        f"{clock(holder.expires)} unless it goes on. If you know that it is dead, take over with "
        f"-e aimesh_take_over={holder.run_id}"
    )


def lease_path(state_dir: str) -> str:
    return str(Path(state_dir) / NAME)


def read_lease(state_dir: str) -> Lease | None:
    """The lease as recorded, expired or not. Raises StateFileError when the record cannot be used."""
    path = lease_path(state_dir)
    raw = read_json(path)
    if raw is None:
        return None
    try:
        return Lease(
            run_id=str(raw["run_id"]),
            operator=str(raw["operator"]),
            verb=str(raw["verb"]),
            controller=str(raw["controller"]),
            pid=int(raw["pid"]),
            started=str(raw["started"]),
            since=float(raw["since"]),
            expires=float(raw["expires"]),
        )
    except (KeyError, TypeError, ValueError):
        raise StateFileError(
            f"The run lease {path} is not one of ours; make sure that no run is under way and remove the file."
        ) from None


def write_lease(state_dir: str, lease: Lease) -> None:
    write_json(lease_path(state_dir), asdict(lease))


def take_lease(state_dir: str, wanted: Lease, take_over: str = "") -> Grant:
    """Take the lease for LIFETIME_S from now; `since` and `expires` of `wanted` are filled in. Hold the host lock.

    Raises LeaseHeldError, StateFileError.
    """
    now = time.time()
    granted = grant(read_lease(state_dir), replace(wanted, since=now, expires=now + LIFETIME_S), now, take_over)
    write_lease(state_dir, granted.lease)
    return granted


def renew_if_holder(state_dir: str, run_id: str) -> bool:
    """Renew the lease when `run_id` has it; False when there is no lease (a call outside of a run).

    Raises LeaseLostError when another run has it: this one must not change anything any more. Hold the host lock.
    """
    current = read_lease(state_dir)
    if current is None:
        return False
    now = time.time()
    if current.run_id != run_id:
        if current.expires <= now:
            return False
        raise LeaseLostError(
            f"This run ({run_id}) no longer has the lease: {current.holder} has taken it. Nothing more is changed; "
            "wait for that run and start again."
        )
    if current.expires - now < LIFETIME_S - RENEW_AFTER_S:
        write_lease(state_dir, replace(current, expires=now + LIFETIME_S))
    return True


def release_lease(state_dir: str, run_id: str) -> bool:
    """Give the lease back when `run_id` has it; another run's lease stays. Hold the host lock."""
    current = read_lease(state_dir)
    if current is None or current.run_id != run_id:
        return False
    with contextlib.suppress(FileNotFoundError):
        Path(lease_path(state_dir)).unlink()
    return True


def as_result(lease: Lease | None) -> dict[str, Any] | None:
    """A lease as a module returns it."""
    return asdict(lease) if lease is not None else None

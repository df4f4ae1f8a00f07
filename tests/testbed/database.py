"""The database of a deployed mesh, asked and hurt on its own host."""

from __future__ import annotations

import shlex
import time
from typing import Any

from .vm import Vm

CONTAINER = "aimesh-postgresql"


def psql(plan: dict[str, Any], query: str) -> str:
    """Shell command that asks the database on its own host as its superuser."""
    ask = f"psql -d mesh_registry -Atc {shlex.quote(query)}"
    if plan["mesh"]["platform"] == "compose":
        return f"docker exec aimesh-postgresql {ask} --host=/run/postgresql"
    return f"su postgres -c {shlex.quote(ask)}"


def in_containers(plan: dict[str, Any]) -> bool:
    return bool(plan["mesh"]["platform"] == "compose")


def unit(plan: dict[str, Any]) -> str:
    """Debian's unit of the cluster on a host without containers."""
    return f"postgresql@{plan['postgresql']['version']}-{plan['postgresql']['cluster']}.service"


def lose(vm: Vm, plan: dict[str, Any]) -> float:
    """Kill the cluster with whatever it has started and delete its data; returns the moment (seconds since 1970)."""
    kill = f"docker kill {CONTAINER}" if in_containers(plan) else f"systemctl kill --signal=KILL {unit(plan)}"
    disaster = time.time()
    vm.run(f"{kill} >/dev/null && rm -rf {shlex.quote(plan['postgresql']['data_dir'])}")
    return disaster


def stop(vm: Vm, plan: dict[str, Any]) -> None:
    vm.run(f"docker stop {CONTAINER}" if in_containers(plan) else f"systemctl stop {unit(plan)}")


def archived(vm: Vm, plan: dict[str, Any]) -> str:
    """The newest segment that the archiver has stored; empty when none is."""
    return vm.run(psql(plan, "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver")).strip()


def await_archived(vm: Vm, plan: dict[str, Any], seconds: float = 90) -> str:
    """Return as soon as another segment than now is stored; its name."""
    before, deadline = archived(vm, plan), time.monotonic() + seconds
    while (now := archived(vm, plan)) == before:
        if time.monotonic() > deadline:
            raise AssertionError(f"no segment was archived after {before or 'the start'} within {seconds:.0f} s")
        time.sleep(0.2)
    return now


def switch(vm: Vm, plan: dict[str, Any], seconds: float = 60) -> None:
    """Everything that is committed now is archived when this returns."""
    last, deadline = vm.run(psql(plan, "SELECT pg_walfile_name(pg_switch_wal())")).strip(), time.monotonic() + seconds
    while archived(vm, plan) < last:
        if time.monotonic() > deadline:
            raise AssertionError(f"the segment {last} was not archived within {seconds:.0f} s")
        time.sleep(0.2)


def timeline(vm: Vm, plan: dict[str, Any]) -> int:
    return int(vm.run(psql(plan, "SELECT timeline_id FROM pg_control_checkpoint()")).strip())

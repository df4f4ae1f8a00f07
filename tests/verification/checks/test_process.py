"""Every process of the mesh is supervised, stays up, and runs what is on the disk."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Unit
from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, NotApplicableError, require, require_none
from vocabulary.targets import each_program, each_unit

CLOCK_SLACK_S = 2.0
RECENT_S = 300
"""A restart longer ago than this is history; a process that keeps crashing does not get that old."""


@check(
    "process.{subject}.supervised", "{subject} runs under its supervisor", targets=each_unit, capability="supervisor"
)
def test_process_is_supervised(mesh: Mesh, target: Target) -> None:
    name = mesh.container_name(target)
    service = mesh.host(target.host).service(name)
    if not service.is_running:
        raise MismatchError(expected=f"{name} running", actual=f"{name} is {service.state}")
    if not service.is_enabled:
        raise MismatchError(expected=f"{name} enabled at boot", actual=f"{name} would not start after a reboot")
    if service.complaints:
        raise MismatchError(
            expected=f"no pod of {target.unit} that does not serve", actual="; ".join(service.complaints)
        )
    if "processes" not in mesh.platform.capabilities:
        return
    process = mesh.host(target.host).processes().get(str(service.pid))
    if process is None:
        raise MismatchError(expected=f"main process {service.pid} of {target.unit}", actual="no such process")
    if process["state"] in ("T", "t", "Z"):
        words = {"Z": "a zombie"}.get(process["state"], "frozen (stopped by a signal)")
        raise MismatchError(expected="a running main process", actual=f"process {service.pid} is {words}")


@check(
    "process.{subject}.steady",
    "{subject} does not restart while it is watched",
    targets=each_unit,
    capability="supervisor",
)
def test_process_does_not_restart(mesh: Mesh, target: Target) -> None:
    host = mesh.host(target.host)
    name = mesh.container_name(target)
    first = host.service(name, sample=1)
    later = host.service(name, sample=2)
    if not first.is_running or ("processes" in mesh.platform.capabilities and not first.pid):
        raise MismatchError(expected="a main process", actual=f"{name} is {first.state}")
    require("main process", later.pid, first.pid)
    require("start of the main process", later.started, first.started)
    require("restarts", later.restarts, first.restarts)
    if "processes" not in mesh.platform.capabilities:
        return
    process = host.processes().get(str(first.pid))
    if later.restarts and process is not None and process["age"] < RECENT_S:
        raise MismatchError(
            expected=f"no restart by its supervisor within the last {RECENT_S / 60:g} minutes",
            actual=f"{target.unit} was restarted {later.restarts} times, the last time {process['age']:.0f} s ago",
        )


@check(
    "process.{subject}.owns_port",
    "The supervised process of {subject} is the one that answers",
    targets=each_program,
    capability="processes",
)
def test_listener_belongs_to_the_unit(mesh: Mesh, target: Target) -> None:
    host = mesh.host(target.host)
    service = host.service(target.unit)
    rows = host.socket(f"tcp://{target.data['bind']}:{target.data['port']}").rows
    owners = {row["pid"] for row in rows}
    if not rows or None in owners:
        raise MismatchError(
            expected=f"port {target.data['port']} held by {target.unit}", actual=f"held by {owners or 'nobody'}"
        )
    strangers = [row for row in rows if service.pid not in row["lineage"]]
    require_none(
        [f"port {row['port']} is held by {row['comm']} (process {row['pid']})" for row in strangers],
        f"port {target.data['port']} held by {target.unit} (process {service.pid})",
    )


@check("process.{subject}.current", "{subject} runs what is on the disk", targets=each_program, capability="processes")
def test_process_loaded_the_present_files(mesh: Mesh, target: Target) -> None:
    host = mesh.host(target.host)
    service = host.service(target.unit)
    process = host.processes().get(str(service.pid))
    if process is None:
        raise MismatchError(expected=f"a main process of {target.unit}", actual=f"{target.unit} is {service.state}")
    units = [unit for unit in mesh.units(target.host) if unit.name == target.unit]
    if not units:
        raise MismatchError(
            expected=f"the unit {target.unit} from the driver", actual="the driver renders no such unit"
        )
    newer = [path for path in read_at_start(units[0]) if host.file(path).changed > process["started"] + CLOCK_SLACK_S]
    require_none(
        [f"{path} was changed after the process had started" for path in newer],
        f"no file of {target.unit} newer than its process",
    )


def read_at_start(unit: Unit) -> list[str]:
    """Of a unit that reads its configuration again while it runs, what its supervisor has started it by."""
    own = unit.container.files if unit.container else [path for path in unit.files if path.endswith(".service")]
    return list(own if unit.reload else unit.files)


@check(
    "process.{subject}.recorded",
    "What {subject} loaded is on record",
    targets=each_program,
    capability="records",
    hint="records",
)
def test_loaded_fingerprint_is_recorded(mesh: Mesh, target: Target) -> None:
    records = mesh.host(target.host).records()["units"]
    record = records.get(target.unit)
    if not isinstance(record, dict) or not str(record.get("fingerprint", "")).startswith("sha256:"):
        raise MismatchError(
            expected=f"a fingerprint of {target.unit}, recorded when it became ready",
            actual=f"no record; on record are {', '.join(records) or 'no units'}",
        )


@check(
    "process.{subject}.unprivileged",
    "{subject} runs without the rights of root",
    targets=each_program,
    capability="processes",
)
def test_service_is_not_root(mesh: Mesh, target: Target) -> None:
    if not mesh.plan["hosts"][target.host].get("service", {"create": True})["create"]:
        raise NotApplicableError("the operator's own user runs this mesh")
    host = mesh.host(target.host)
    process = host.processes().get(str(host.service(target.unit).pid))
    if process is None:
        raise MismatchError(expected=f"a main process of {target.unit}", actual="no such process")
    if process["user"] == 0:
        raise MismatchError(expected="a user of its own", actual=f"{target.unit} runs as root")

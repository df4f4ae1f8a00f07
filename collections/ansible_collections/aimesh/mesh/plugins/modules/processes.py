#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: processes
short_description: Run the units of a local mesh under supervisord
description:
  - C(converge) starts supervisord when it is not running, takes in changed programs without touching the others, runs
    one-shots, starts and restarts what has to be, and waits until everything that it started is ready.
  - A unit is restarted exactly when the fingerprint recorded at its last readiness differs from the wanted one, or
    one of the files that it loads was written after it started.
  - C(status) says what runs. C(stop) ends every process of the mesh, supervisord too, and waits until they are gone.
version_added: 1.0.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
options:
  verb:
    description: What to do.
    type: str
    default: converge
    choices: [converge, status, stop]
  units:
    description: The units in start order. Filled in by the action plugin.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the unit, which is its program's name too.
        type: str
        required: true
      fingerprint:
        description: What it is to load.
        type: str
        required: true
      files:
        description: What it loads; it is restarted when one of them was written after it started.
        type: list
        elements: path
        default: []
      oneshot:
        description: Whether it runs to success once per fingerprint.
        type: bool
        default: false
      ready:
        description: When it counts as ready, C(url) with C(version), or C(tcp), within C(timeout_s) seconds.
        type: dict
  managed_elsewhere:
    description: Programs that another module brings up. Filled in by the action plugin.
    type: list
    elements: str
    default: []
  socket:
    description: Supervisord's socket. Filled in by the action plugin.
    type: path
  jobs:
    description: Folder of the one-shots' descriptions. Filled in by the action plugin.
    type: path
  logs:
    description: Folder of the logs. Filled in by the action plugin.
    type: path
  runtimes:
    description: Folder of the server programs. Filled in by the action plugin.
    type: path
  runtime_id:
    description: The folder in it that is in use; others are removed at the end. Filled in by the action plugin.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Services of the mesh run and are ready
  aimesh.mesh.processes:

- name: What runs is known
  aimesh.mesh.processes:
    verb: status
  register: _status

- name: Nothing of the mesh runs
  aimesh.mesh.processes:
    verb: stop
"""

RETURN = r"""
units:
  description: State of each unit; C(recorded) is its fingerprint at its last readiness.
  returned: success
  type: dict
  sample: {"aimesh-registry@a": {state: RUNNING, pid: 4711, started: 1764000000, uptime_s: 60,
    recorded: "sha256:4b1f…"}}
lines:
  description: The same for people, a line for each unit.
  returned: with O(verb=status)
  type: list
  elements: str
  sample: ["aimesh-registry@a  RUNNING  pid 4711, up 0:01:00"]
steps:
  description: What was done, or would be in check mode, in order.
  returned: with O(verb=converge)
  type: list
  elements: dict
  sample: [{action: restart, unit: aimesh-registry@a, reason: loaded something else}]
supervised:
  description: Whether supervisord runs.
  returned: success
  type: bool
stopped:
  description: Processes that were ended.
  returned: with O(verb=stop)
  type: list
  elements: int
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils import runtime, unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import Step, WantedUnit
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import gate_of
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, changing
from ansible_collections.aimesh.mesh.plugins.module_utils.supervised import Places, converge, diff_of, pending
from ansible_collections.aimesh.mesh.plugins.module_utils.supervisor import Program, Supervisor, alive
from ansible_collections.aimesh.mesh.plugins.module_utils.supervisor_daemon import (
    DESCRIPTION,
    SupervisorError,
    ensure_daemon,
    load_description,
    stop_daemon,
)


def known_programs(socket: str) -> dict[str, Program]:
    return Supervisor(socket).programs() if alive(socket) is not None else {}


def states(programs: Mapping[str, Program], state_dir: str) -> dict[str, dict[str, Any]]:
    recorded = unit_records.read_records(state_dir)
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(set(programs) | set(recorded)):
        program, record = programs.get(name), recorded.get(name)
        once = record is not None and record.oneshot
        found[name] = {
            "state": program.state if program else "DONE" if once else "ABSENT",
            "pid": program.pid if program else 0,
            "started": program.started if program else 0,
            "uptime_s": int(time.time() - program.started) if program and program.running else None,
            "detail": program.detail if program else "",
            "recorded": record.fingerprint if record else None,
        }
    return found


def described(steps: list[Step]) -> list[dict[str, str]]:
    return [{"action": step.action.value, "unit": step.name, "reason": step.reason} for step in steps]


def converge_units(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    socket, state_dir = params["socket"], params["state_dir"]
    wanted = [WantedUnit(unit["name"], unit["fingerprint"], unit["oneshot"]) for unit in params["units"]]
    files = {unit["name"]: unit["files"] for unit in params["units"]}
    if module.check_mode:
        programs = known_programs(socket)
        steps = pending(wanted, state_dir, programs, files)
        changed = bool(steps) or not programs
        return {"changed": changed, "steps": described(steps), "diff": diff_of(steps), "supervised": bool(programs)}
    started = ensure_daemon(load_description(socket), alive)
    supervisor = Supervisor(socket)
    supervisor.apply_config(besides=frozenset(params["managed_elsewhere"]))
    steps = pending(wanted, state_dir, supervisor.programs(), files)
    gates = {unit["name"]: gate_of(unit["name"], unit["ready"]) for unit in params["units"]}
    converge(supervisor, steps, wanted, gates, Places(state_dir, params["jobs"], params["logs"]))
    pruned = runtime.prune(params["runtimes"], params["runtime_id"])
    return {
        "changed": started or bool(steps) or bool(pruned),
        "steps": described(steps),
        "diff": diff_of(steps),
        "units": states(supervisor.programs(), state_dir),
        "supervised": True,
    }


def status(module: AnsibleModule) -> dict[str, Any]:
    programs = known_programs(module.params["socket"])
    return {"units": states(programs, module.params["state_dir"]), "supervised": bool(programs)}


def stop(module: AnsibleModule) -> dict[str, Any]:
    socket, state_dir = module.params["socket"], module.params["state_dir"]
    if not Path(socket).with_name(DESCRIPTION).exists():
        return {"stopped": [], "supervised": False, "units": {}}
    programs = known_programs(socket)
    running = [program.pid for program in programs.values() if program.pid]
    if module.check_mode:
        return {"changed": bool(programs), "stopped": running, "supervised": bool(programs)}
    for name in unit_records.read_records(state_dir):
        unit_records.forget(state_dir, name)
    gone = stop_daemon(load_description(socket))
    return {"changed": bool(gone), "stopped": gone, "supervised": False, "units": {}}


VERBS = {"converge": converge_units, "status": status, "stop": stop}


def main() -> None:
    unit_options = {
        "name": {"type": "str", "required": True},
        "fingerprint": {"type": "str", "required": True},
        "files": {"type": "list", "elements": "path", "default": []},
        "oneshot": {"type": "bool", "default": False},
        "ready": {"type": "dict"},
    }
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "verb": {"type": "str", "default": "converge", "choices": list(VERBS)},
            "units": {"type": "list", "elements": "dict", "default": [], "options": unit_options},
            "managed_elsewhere": {"type": "list", "elements": "str", "default": []},
            "socket": {"type": "path", "required": True},
            "jobs": {"type": "path"},
            "logs": {"type": "path"},
            "runtimes": {"type": "path"},
            "runtime_id": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    verb = module.params["verb"]
    # A mesh that was never here gets no state directory by being stopped.
    writes = verb == "converge" or (verb == "stop" and Path(module.params["state_dir"]).is_dir())
    try:
        with changing(module, f"processes {verb}", writes=writes):
            result = VERBS[verb](module)
    except SupervisorError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**({"changed": False} | result))


if __name__ == "__main__":
    main()

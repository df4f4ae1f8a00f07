#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: units
short_description: Run the units of a host under systemd
description:
  - C(converge) has systemd read changed unit files, enables units, runs one-shots, starts, restarts and reloads what
    has to be, and waits until everything that it touched is ready, all of it together.
  - A unit is restarted exactly when the fingerprint recorded at its last readiness differs from the wanted one, or when
    a file that it loads is younger than its process. Its record is written when it is ready, so that a failed or
    interrupted run is made good by the next one.
  - A unit that does not become ready ends the call with its gate, what was seen, and its last log lines. A crash loop
    is recognised before the wait is over.
  - Units that an earlier run recorded and that are no longer wanted are stopped and disabled.
  - C(status) says what runs. C(stop) stops and disables every unit of the mesh.
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
        description: Name of the unit, without C(.service).
        type: str
        required: true
      fingerprint:
        description: What it is to load.
        type: str
        required: true
      files:
        description: Paths of the files that it loads.
        type: list
        elements: str
        default: []
      oneshot:
        description: Whether it runs to success once per fingerprint, before the units that follow it.
        type: bool
        default: false
      reload:
        description: Whether it takes a changed configuration by reload.
        type: bool
        default: false
      ready:
        description: When it counts as ready, C(url) with C(version), or C(tcp), within C(timeout_s) seconds.
        type: dict
  alone:
    description: Whether the given units alone are touched, and others that an earlier run recorded stay as they are.
      Filled in by the action plugin.
    type: bool
    default: false
  only:
    description: C(monitoring) brings what watches the mesh to its state and leaves all else as it is. Understood by the
      action plugin.
    type: str
    choices: [monitoring]
  managed_elsewhere:
    description: Units that another module starts; C(status) tells of them too. Filled in by the action plugin.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Units run what the plan says, and are ready
  aimesh.mesh.units:
    templates: "{{ role_path }}/templates"

- name: What runs is known
  aimesh.mesh.units:
    verb: status
  register: _status
"""

RETURN = r"""
units:
  description: State of each unit; C(recorded) is its fingerprint at its last readiness.
  returned: success, except in check mode
  type: dict
  sample: {"aimesh-registry@a": {state: "active (running)", pid: 4711, started: "81233211", uptime_s: 60, enabled: true,
    restarts: 0, recorded: "sha256:4b1f…"}}
lines:
  description: The same for people, a line for each unit.
  returned: with O(verb=status)
  type: list
  elements: str
  sample: ["aimesh-registry@a  active (running)  pid 4711, up 0:01:00"]
steps:
  description: What was done, or would be in check mode, in order.
  returned: with O(verb=converge)
  type: list
  elements: dict
  sample: [{action: restart, unit: aimesh-registry@a, reason: loaded something else}]
enabled:
  description: Units that were enabled, or would be.
  returned: with O(verb=converge)
  type: list
  elements: str
stopped:
  description: Units that were stopped and disabled, or would be.
  returned: with O(verb=stop)
  type: list
  elements: str
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils import unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import WantedUnit, short
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import gate_of
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, changing
from ansible_collections.aimesh.mesh.plugins.module_utils.systemd import Systemd, SystemdError, UnitState
from ansible_collections.aimesh.mesh.plugins.module_utils.systemd_convergence import (
    Work,
    carry_out,
    rewritten_units,
    work,
)


def seen_units(systemd: Systemd, names: list[str], check_mode: bool) -> dict[str, UnitState]:
    """What systemd says; on a bare host without it, check mode sees nothing instead of failing."""
    try:
        return systemd.show(names)
    except SystemdError:
        if not check_mode:
            raise
        return {name: UnitState(name) for name in names}


def uptime_s(state: UnitState) -> int | None:
    """Whole seconds since the start of the main process; None when there is none."""
    return int(time.monotonic() - int(state.started) / 1e6) if state.pid and state.started else None


def described(systemd: Systemd, names: list[str], state_dir: str) -> dict[str, dict[str, Any]]:
    recorded = unit_records.read_records(state_dir)
    found = {}
    for name, state in systemd.show(names).items():
        record = recorded.get(name)
        found[name] = {
            "state": "done" if record and record.oneshot and state.active == "inactive" else state.text,
            "pid": state.pid,
            "started": state.started,
            "uptime_s": uptime_s(state),
            "enabled": state.file_state in ("enabled", "enabled-runtime"),
            "restarts": state.restarts,
            "recorded": record.fingerprint if record else None,
        }
    return found


def diff_of(todo: Work) -> dict[str, str]:
    """Recorded and wanted fingerprints of the units that something happens to, and what else systemd is told."""
    others = [f"{name} enabled\n" for name in todo.enable] + [f"{name} unit file read again\n" for name in todo.unread]
    return {
        "before_header": "units",
        "after_header": "units",
        "before": "".join(f"{step.name} {short(step.recorded)}\n" for step in todo.steps),
        "after": "".join(f"{step.name} {short(step.wanted)} ({step.action})\n" for step in todo.steps)
        + "".join(others),
    }


def converge(module: AnsibleModule, systemd: Systemd) -> dict[str, Any]:
    state_dir, units = module.params["state_dir"], module.params["units"]
    wanted = [WantedUnit(unit["name"], unit["fingerprint"], unit["oneshot"], unit["reload"]) for unit in units]
    recorded = unit_records.read_records(state_dir)
    if module.params["alone"]:
        recorded = {unit.name: recorded[unit.name] for unit in wanted if unit.name in recorded}
    names = list(dict.fromkeys([*(unit.name for unit in wanted), *recorded]))
    seen = seen_units(systemd, names, module.check_mode)
    files = {unit["name"]: unit["files"] for unit in units}
    todo = work(wanted, recorded, seen, rewritten_units(seen, {name: files.get(name, []) for name in names}))
    result = {
        "changed": todo.anything,
        "steps": [{"action": step.action, "unit": step.name, "reason": step.reason} for step in todo.steps],
        "enabled": list(todo.enable),
        "diff": diff_of(todo),
    }
    if module.check_mode:
        return result
    gates = {unit["name"]: gate_of(unit["name"], unit["ready"]) for unit in units}
    carry_out(systemd, todo, wanted, gates, recorded, state_dir)
    return result | {"units": described(systemd, [unit.name for unit in wanted], state_dir)}


def known(module: AnsibleModule) -> list[str]:
    """Units of the mesh: wanted by the plan, or recorded by an earlier run."""
    wanted = [unit["name"] for unit in module.params["units"]]
    return list(dict.fromkeys([*wanted, *unit_records.read_records(module.params["state_dir"])]))


def status(module: AnsibleModule, systemd: Systemd) -> dict[str, Any]:
    names = dict.fromkeys([*module.params["managed_elsewhere"], *known(module)])
    return {"units": described(systemd, list(names), module.params["state_dir"])}


def stop(module: AnsibleModule, systemd: Systemd) -> dict[str, Any]:
    state_dir, names = module.params["state_dir"], known(module)
    seen = seen_units(systemd, names, module.check_mode)
    up = [name for name, state in seen.items() if state.active != "inactive"]
    stopped = [name for name in names if name in up or seen[name].file_state in ("enabled", "enabled-runtime")]
    if not module.check_mode:
        for name in names:
            unit_records.forget(state_dir, name)
        systemd.stop(up)
        systemd.disable([name for name in names if seen[name].load != "not-found" or name in stopped])
    return {"changed": bool(stopped), "stopped": stopped}


VERBS = {"converge": converge, "status": status, "stop": stop}


def main() -> None:
    unit_options = {
        "name": {"type": "str", "required": True},
        "fingerprint": {"type": "str", "required": True},
        "files": {"type": "list", "elements": "str", "default": []},
        "oneshot": {"type": "bool", "default": False},
        "reload": {"type": "bool", "default": False},
        "ready": {"type": "dict"},
    }
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "verb": {"type": "str", "default": "converge", "choices": list(VERBS)},
            "units": {"type": "list", "elements": "dict", "default": [], "options": unit_options},
            "managed_elsewhere": {"type": "list", "elements": "str", "default": []},
            "alone": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    verb = module.params["verb"]
    # A mesh that was never here gets no state directory by being stopped.
    writes = verb == "converge" or (verb == "stop" and Path(module.params["state_dir"]).is_dir())
    try:
        with changing(module, f"units {verb}", writes=writes):
            result = VERBS[verb](module, Systemd())
    except SystemdError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**({"changed": False} | result))


if __name__ == "__main__":
    main()

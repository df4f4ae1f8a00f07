#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: containers
short_description: Run the containers of a host under Docker Compose
description:
  - C(converge) runs one-shots, makes, starts, recreates and reloads what has to be, and waits until everything that it
    touched is ready, all of it together.
  - A container is made anew exactly when the fingerprint recorded at its last readiness differs from the wanted one, or
    when it is older than its Compose file or a file that it reads. Its record is written when it is ready, so that a
    failed or interrupted run is made good by the next one.
  - A container that does not become ready ends the call with its gate, what was seen, and its last log lines. A crash
    loop is recognised before the wait is over.
  - Containers that an earlier run recorded and that are no longer wanted are removed. Containers of another Compose
    project are never touched.
  - C(status) says what runs. C(stop) stops every container of the mesh.
version_added: 1.1.0
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
        description: Name of the container.
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
      container:
        description: C(service) in the Compose project, and the C(files) that define it.
        type: dict
      ready:
        description: When it counts as ready, C(url) with C(version), or C(tcp), within C(timeout_s) seconds.
        type: dict
  project:
    description: C(name) and C(folder) of the Compose project. Filled in by the action plugin.
    type: dict
    required: true
    suboptions:
      name: {description: Name of the project., type: str, required: true}
      folder: {description: Folder with its files., type: path, required: true}
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
- name: Containers run what the plan says, and are ready
  aimesh.mesh.containers:
    templates: "{{ role_path }}/templates"

- name: What runs is known
  aimesh.mesh.containers:
    verb: status
  register: _status
"""

RETURN = r"""
units:
  description: State of each container; C(recorded) is its fingerprint at its last readiness.
  returned: success, except in check mode
  type: dict
  sample: {"aimesh-registry-a": {state: "running (healthy)", pid: 4711, started: "2026-01-01T00:00:00.1Z", uptime_s: 60,
    enabled: true, restarts: 0, recorded: "sha256:4b1f…"}}
lines:
  description: The same for people, a line for each container.
  returned: with O(verb=status)
  type: list
  elements: str
  sample: ["aimesh-registry-a  running (healthy)  pid 4711, up 0:01:00"]
steps:
  description: What was done, or would be in check mode, in order.
  returned: with O(verb=converge)
  type: list
  elements: dict
  sample: [{action: restart, unit: aimesh-registry-a, reason: loaded something else}]
stopped:
  description: Containers that were stopped, or would be.
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
from ansible_collections.aimesh.mesh.plugins.module_utils.compose import (
    ComposeUnit,
    ContainerState,
    Project,
    seconds_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.compose_convergence import (
    carry_out,
    older_than_definition,
    older_than_files,
    work,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import Step, WantedUnit, short
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_client import DockerError
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import gate_of
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, changing


def seen_containers(project: Project, names: list[str], check_mode: bool) -> dict[str, ContainerState]:
    """What the engine says; on a bare host without one, check mode sees nothing instead of failing."""
    try:
        return project.show(names)
    except DockerError:
        if not check_mode:
            raise
        return {name: ContainerState(name) for name in names}


def uptime_s(state: ContainerState) -> int | None:
    """Whole seconds since the start; None when it does not run."""
    return int(time.time() - seconds_of(state.started)) if state.running else None


def described(project: Project, names: list[str], state_dir: str) -> dict[str, dict[str, Any]]:
    recorded = unit_records.read_records(state_dir)
    found = {}
    for name, state in project.show(names).items():
        record = recorded.get(name)
        found[name] = {
            "state": "done" if record and record.oneshot and not state.running else state.text,
            "pid": state.pid,
            "started": state.started,
            "uptime_s": uptime_s(state),
            "enabled": state.running and state.policy in ("always", "unless-stopped"),
            "restarts": state.restarts,
            "recorded": record.fingerprint if record else None,
        }
    return found


def diff_of(steps: list[Step]) -> dict[str, str]:
    """Recorded and wanted fingerprints of the containers that something happens to."""
    return {
        "before_header": "containers",
        "after_header": "containers",
        "before": "".join(f"{step.name} {short(step.recorded)}\n" for step in steps),
        "after": "".join(f"{step.name} {short(step.wanted)} ({step.action})\n" for step in steps),
    }


def converge(module: AnsibleModule, project: Project) -> dict[str, Any]:
    state_dir, units = module.params["state_dir"], module.params["units"]
    wanted = [WantedUnit(unit["name"], unit["fingerprint"], unit["oneshot"], unit["reload"]) for unit in units]
    how = {unit["name"]: ComposeUnit(unit["container"]["service"], tuple(unit["container"]["files"])) for unit in units}
    recorded = unit_records.read_records(state_dir)
    if module.params["alone"]:
        recorded = {unit.name: recorded[unit.name] for unit in wanted if unit.name in recorded}
    names = list(dict.fromkeys([*(unit.name for unit in wanted), *recorded]))
    seen = seen_containers(project, names, module.check_mode)
    read = {unit["name"]: [path for path in unit["files"] if path not in how[unit["name"]].files] for unit in units}
    steps = work(wanted, recorded, seen, older_than_definition(seen, how), older_than_files(seen, read))
    result = {
        "changed": bool(steps),
        "steps": [{"action": step.action, "unit": step.name, "reason": step.reason} for step in steps],
        "diff": diff_of(steps),
    }
    if module.check_mode:
        return result
    gates = {unit["name"]: gate_of(unit["name"], unit["ready"]) for unit in units}
    carry_out(project, steps, wanted, how, gates, recorded, state_dir)
    return result | {"units": described(project, [unit.name for unit in wanted], state_dir)}


def known(module: AnsibleModule) -> list[str]:
    """Containers of the mesh: wanted by the plan, run by another module, or recorded by an earlier run."""
    wanted = [unit["name"] for unit in module.params["units"]]
    recorded = unit_records.read_records(module.params["state_dir"])
    return list(dict.fromkeys([*module.params["managed_elsewhere"], *wanted, *recorded]))


def status(module: AnsibleModule, project: Project) -> dict[str, Any]:
    return {"units": described(project, known(module), module.params["state_dir"])}


def stop(module: AnsibleModule, project: Project) -> dict[str, Any]:
    state_dir, names = module.params["state_dir"], known(module)
    seen = seen_containers(project, names, module.check_mode)
    stopped = [name for name, state in reversed(seen.items()) if state.status in ("running", "restarting", "paused")]
    if not module.check_mode:
        for name in names:
            unit_records.forget(state_dir, name)
        project.stop(stopped)
    return {"changed": bool(stopped), "stopped": stopped}


VERBS = {"converge": converge, "status": status, "stop": stop}


def main() -> None:
    unit_options = {
        "name": {"type": "str", "required": True},
        "fingerprint": {"type": "str", "required": True},
        "files": {"type": "list", "elements": "str", "default": []},
        "oneshot": {"type": "bool", "default": False},
        "reload": {"type": "bool", "default": False},
        "container": {"type": "dict"},
        "ready": {"type": "dict"},
    }
    project_options = {"name": {"type": "str", "required": True}, "folder": {"type": "path", "required": True}}
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "verb": {"type": "str", "default": "converge", "choices": list(VERBS)},
            "units": {"type": "list", "elements": "dict", "default": [], "options": unit_options},
            "project": {"type": "dict", "required": True, "options": project_options},
            "managed_elsewhere": {"type": "list", "elements": "str", "default": []},
            "alone": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    verb = module.params["verb"]
    result: dict[str, Any] = {}
    # A mesh that was never here gets no state directory by being stopped.
    writes = verb == "converge" or (verb == "stop" and Path(module.params["state_dir"]).is_dir())
    with changing(module, f"containers {verb}", writes=writes):
        result = VERBS[verb](module, Project(**module.params["project"]))
    module.exit_json(**({"changed": False} | result))


if __name__ == "__main__":
    main()

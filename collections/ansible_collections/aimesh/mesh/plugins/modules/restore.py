#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Bring a lost or wrong database back out of its repository
description:
  - C(confirm) refuses, before anything of the host is touched, to take the place of a database that is there without a
    confirmation. C(look) refuses what cannot be done once the host has what a restore needs.
  - C(stop) ends the services of the mesh on a host; the deploy that follows a restore starts them again.
  - C(restore) stops PostgreSQL, puts its data aside under another name, restores from the repository, replays the
    archive up to the target and promotes. Should that fail, the data that were there are put back.
  - The action plugin makes one call on each host that has something to do. It takes everything from the plan.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
options:
  verb:
    description: What to do.
    type: str
    required: true
    choices: [confirm, look, stop, restore]
  mesh:
    description: Name of the mesh. Filled in by the action plugin.
    type: str
    default: ""
  cluster:
    description: The PostgreSQL cluster as M(aimesh.mesh.postgresql) takes it. Filled in by the action plugin.
    type: dict
  target:
    description: C(latest), the label of a backup, or a time. Filled in by the action plugin.
    type: str
    default: latest
  repository:
    description: Repository to restore from; 0 takes the first that can be read. Filled in by the action plugin.
    type: int
    default: 0
  confirmed:
    description: Whether a database that is there may be replaced. Filled in by the action plugin.
    type: bool
    default: false
  units:
    description: With C(stop), the units to end, with C(name) and C(stop_s). Filled in by the action plugin.
    type: list
    elements: dict
    default: []
  oneshots:
    description: With C(stop), jobs that have to run again on a restored database. Filled in by the action plugin.
    type: list
    elements: str
    default: []
  supervisor:
    description: Who runs the units, V(systemd) or V(compose). Filled in by the action plugin.
    type: str
    default: systemd
  containers:
    description: How Docker Compose runs the units. Filled in by the action plugin.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Restore is confirmed
  aimesh.mesh.restore:
    verb: confirm

- name: Database is as it was
  aimesh.mesh.restore:
    verb: restore
  register: _restored
"""

RETURN = r"""
lines:
  description: What an operator reads.
  returned: success
  type: list
  elements: str
  sample: [restored to latest from backup 20261128-030001F of repository 1]
stages:
  description: Seconds of each stage.
  returned: restore
  type: dict
  sample: {stop: 1.2, restore: 3.4, replay: 2.0}
aside:
  description: Where the data are that were there before; empty when there were none.
  returned: restore
  type: str
  sample: /var/lib/postgresql/17/mesh.before-3f2a5bd0c1e94a77
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils import unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.lock import run_lock
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import load_spec
from ansible_collections.aimesh.mesh.plugins.module_utils.database_restore import Restore, refuse_live
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError, cluster_of
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_record import record_done
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotSupervisor, supervisor_of
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, changing


def confirm(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    refuse_live(params["cluster"]["data_dir"], params["mesh"], params["confirmed"])
    return {"changed": False, "lines": []}


def look(module: AnsibleModule) -> dict[str, Any]:
    found = _restore(module).look(module.params["confirmed"])
    lines = [f"restores to {module.params['target']} from {found.text}"]
    if found.interrupted:
        lines.append(found.interrupted)
    if found.live:
        lines.append(f"the database in {module.params['cluster']['data_dir']} is put aside")
    return {"changed": False, "lines": lines}


def stop(module: AnsibleModule) -> dict[str, Any]:
    supervisor, state_dir = _supervisor(module), module.params["state_dir"]
    running = [unit for unit in module.params["units"] if supervisor.state(unit["name"]).running]
    # Together: each may wait for its open calls to end.
    with ThreadPoolExecutor(max_workers=max(1, len(running))) as pool:
        list(pool.map(lambda unit: supervisor.stop(unit["name"], float(unit["stop_s"])), running))
    ended = [unit["name"] for unit in running]
    for name in module.params["oneshots"]:
        unit_records.forget(state_dir, name)
    return {"changed": bool(ended), "lines": [f"stopped {', '.join(ended)}"] if ended else []}


def restore(module: AnsibleModule) -> dict[str, Any]:
    work = _restore(module)
    with run_lock(module.params["state_dir"], "restore"):
        done = work.run(work.look(module.params["confirmed"]))
        record_done(module.params["state_dir"], module.params["run_id"], module.params["target"])
    lines = [done.text, ", ".join(f"{stage} {seconds} s" for stage, seconds in done.stages.items())]
    if done.aside:
        size = f"{done.aside_bytes / 1e6:.0f} MB"
        lines.append(f"what was there before is in {done.aside} ({size}); when nobody needs it: rm -r {done.aside}")
    return {"changed": True, "lines": lines, "stages": done.stages, "aside": done.aside}


LOOKS = {"confirm": confirm, "look": look}
WORKS = {"stop": stop, "restore": restore}


def _supervisor(module: AnsibleModule) -> SlotSupervisor:
    return supervisor_of(module.params["supervisor"], module.params["containers"])


def _restore(module: AnsibleModule) -> Restore:
    params = module.params
    return Restore(
        load_spec(),
        cluster_of(params["cluster"]),
        _supervisor(module),
        state_dir=params["state_dir"],
        run_id=params["run_id"],
        target=params["target"],
        repository=params["repository"],
        # Nobody hears a module before its end; the host's journal does.
        tell=module.log,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "verb": {"type": "str", "required": True, "choices": [*LOOKS, *WORKS]},
            "mesh": {"type": "str", "default": ""},
            "cluster": {"type": "dict"},
            "target": {"type": "str", "default": "latest"},
            "repository": {"type": "int", "default": 0},
            "confirmed": {"type": "bool", "default": False},
            "units": {"type": "list", "elements": "dict", "default": []},
            "oneshots": {"type": "list", "elements": "str", "default": []},
            "supervisor": {"type": "str", "default": "systemd"},
            "containers": {"type": "dict", "default": {}},
        },
        required_if=[("verb", verb, ["cluster"]) for verb in (*LOOKS, "restore")],
        supports_check_mode=True,
    )
    verb = module.params["verb"]
    if module.check_mode and verb in WORKS:
        module.exit_json(changed=True, lines=[], stages={}, aside="")
    try:
        if verb in LOOKS:
            result = LOOKS[verb](module)
        else:
            with changing(module, f"restore {verb}"):
                result = WORKS[verb](module)
    except (BackupError, PostgresError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

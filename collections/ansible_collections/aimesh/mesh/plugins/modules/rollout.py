#!/usr/bin/python
"""Executes steps of a rollout on one host, undoes a slot, or looks at what runs there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Steps of an update, rollback or scale on one host
version_added: 1.1.0
description:
  - C(perform) executes steps in order. Each does its action, waits for its gate, and is recorded; the first gate that
    does not hold ends the call with one message.
  - C(undo) brings the slots in O(units) back to what they were before the rollout touched them. On this host's HAProxy
    they take calls again; the caller sees to other hosts.
  - C(observe) tells what a plan of steps starts from. It changes nothing.
  - In a playbook C(verb) may be C(plan) and C(timings) as well, which work on the controller alone. C(plan) turns what
    was observed and the plan into steps and batches, C(timings) a record into a table. C(perform) takes a batch.
  - Every action may be repeated. A call that was killed leaves a host that C(observe) describes truly.
  - A slot's old files are kept in the state directory from before the first step that touches it until it has soaked
    or is removed.
extends_documentation_fragment: aimesh.mesh.slice
author: aimesh (@aimesh)
options:
  verb:
    description: What to do.
    type: str
    default: observe
    choices: [observe, perform, undo]
  operation:
    description: With C(plan), what the rollout is.
    type: str
    default: update
  batch:
    description: One call's part of the steps, as C(plan) returned it. The task is delegated to its host.
    type: dict
  header:
    description: What names the rollout, as C(plan) returned it.
    type: dict
  state:
    description: Name of the variable with the result of M(aimesh.mesh.state) with C(verb=read) on the state host.
    type: str
    default: _state
  observed:
    description: Name of the variable with the result of C(observe) on each host.
    type: str
    default: _observed
  record:
    description: The record of the rollout, for C(timings).
    type: dict
  supervisor:
    description: What runs the units.
    type: str
    default: systemd
    choices: [systemd, compose]
  haproxy_socket:
    description: Runtime API of this host's HAProxy. Empty on a host that has none.
    type: str
    default: ""
  haproxy_config:
    description: HAProxy's configuration, of which C(observe) tells the SHA-256.
    type: str
    default: ""
  rollout:
    description: What names the rollout in the records of the state host.
    type: dict
    default: {}
    suboptions:
      id: {description: Run id., type: str, default: ""}
      verb: {description: C(update), C(rollback) or C(scale)., type: str, default: ""}
      operator: {description: Who runs it., type: str, default: ""}
      from: {description: Release before., type: str, default: ""}
      to: {description: Release after., type: str, default: ""}
      digest: {description: Digest of the wanted plan., type: str, default: ""}
  record_here:
    description: Whether this is the state host, which records the steps.
    type: bool
    default: false
  host:
    description: Name of this host in the inventory, for the records.
    type: str
    default: ""
  backup_command:
    description: Writes the whole database as an archive of pg_dump to standard output. For the step C(backup_point).
    type: list
    elements: str
    default: []
  backup_dir:
    description: Folder of the backup points.
    type: str
    default: ""
  slots:
    description: The units that the call is about; HAProxy and the migration are among them where a step needs them.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name of the unit., type: str, required: true}
      instance: {description: Name of the instance., type: str, default: ""}
      server: {description: Its C(backend/server) in HAProxy. Empty for what is behind no edge., type: str, default: ""}
      fingerprint: {description: What it is to load., type: str, default: ""}
      ready:
        description: When it counts as ready, C(url) with C(version), or C(tcp), within C(timeout_s) seconds.
        type: dict
      stop_s: {description: Seconds that it may take to stop., type: float, default: 30}
      oneshot: {description: Whether it is a job that runs to success., type: bool, default: false}
      spare: {description: Whether it runs during a rollout only., type: bool, default: false}
      reload: {description: Whether it takes a changed file by reload and is never stopped., type: bool, default: false}
      container: {description: Its C(service) and C(files) in Docker Compose., type: dict}
      files:
        description: The files that only this unit loads.
        type: list
        elements: dict
        default: []
        suboptions:
          path: {description: Absolute path., type: path, required: true}
          content: {description: Content., type: str}
          secret_content: {description: "Content of a file with secrets, in base64. Never logged.", type: str}
          sensitive: {description: Whether the content holds secrets., type: bool, default: false}
          owner: {description: Owner. Empty leaves it as it is., type: str, default: ""}
          group: {description: Group. Empty leaves it as it is., type: str, default: ""}
          mode: {description: Octal mode., type: str, default: "0644"}
          validate:
            description: Command that checks the content before it is put in place. C({path}) stands for the candidate.
            type: list
            elements: str
            default: []
  steps:
    description: What C(perform) does, in order.
    type: list
    elements: dict
    default: []
    suboptions:
      n: {description: Number of the step in the rollout., type: int, required: true}
      action:
        description: What is done.
        type: str
        required: true
        choices: [backup_point, migrate, edge, drain, stop, start, enable, soak, remove]
      unit: {description: The unit., type: str, required: true}
      server: {description: Its C(backend/server) in HAProxy., type: str, default: ""}
      gate:
        description: What has to hold then.
        type: dict
        default: {}
        suboptions:
          kind: {description: Name of the gate., type: str, default: none}
          limit: {description: Its limit., type: raw}
      timeout_s: {description: Seconds that the gate may take., type: float, default: 60}
      last:
        description: Whether a drained server may be the last of its backend that takes calls.
        type: bool
        default: false
      host: {description: Name of the host in the inventory., type: str, default: ""}
      slot: {description: The unit whose replacement the step belongs to., type: str, default: ""}
  units:
    description: The units that C(undo) brings back, in order; each is among O(slots).
    type: list
    elements: str
    default: []
  timeout_s:
    description: Seconds that HAProxy may take to see a slot up after C(undo).
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: What runs on the host is known
  aimesh.mesh.rollout:
    verb: observe
  register: _observed
"""

RETURN = r"""
done:
  description: Steps that were executed; C(seconds) and what was seen. C(cut) counts sessions that a drain left.
  returned: with O(verb=perform)
  type: list
  elements: dict
  sample: [{n: 4, action: start, unit: aimesh-registry@b, seconds: 2.1, seen: "status 200 with version 1.1.0+89abcdef"}]
failed_step:
  description: The step whose gate did not hold.
  returned: with O(verb=perform), on failure
  type: dict
  sample: {n: 5, action: enable, unit: aimesh-registry@b, gate: edge_sees_up, seconds: 60.1, seen: DOWN}
undone:
  description: What C(undo) did to each unit; C(outcome) is restored, removed, enabled or nothing.
  returned: with O(verb=undo)
  type: list
  elements: dict
  sample: [{unit: aimesh-registry@a, outcome: restored, seen: status 200 with version 1.0.0+0123abcd,
    release: 1.0.0+0123abcd}]
units:
  description: Every unit of the call, of the records and with saved files. C(recorded) is its fingerprint at its last
    readiness, C(release) the version that it answers with.
  returned: with O(verb=observe)
  type: dict
  sample: {"aimesh-registry@a": {running: true, ready: true, state: active (running), recorded: "sha256:4b1f…",
    fingerprint: "sha256:4b1f…", release: 1.0.0+0123abcd, pid: 4711, restarts: 0}}
servers:
  description: HAProxy's servers by C(backend/server); empty when there is no HAProxy or it does not answer.
  returned: with O(verb=observe)
  type: dict
  sample: {registry/vm1-a: {admin: ready, status: UP, sessions: 0}}
haproxy_answers:
  description: Whether HAProxy answers on its runtime API.
  returned: with O(verb=observe)
  type: bool
haproxy_config_sha256:
  description: SHA-256 of HAProxy's configuration file, or null.
  returned: with O(verb=observe)
  type: str
rollout:
  description: The rollout that is not done, as recorded on the state host, or null.
  returned: with O(verb=observe)
  type: dict
saved_slots:
  description: Units whose old files are still kept, because their replacement has not soaked.
  returned: with O(verb=observe)
  type: list
  elements: str
remote_calls:
  description: Number of remote calls that the task made.
  returned: always
  type: int
  sample: 1
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils import rollout_record
from ansible_collections.aimesh.mesh.plugins.module_utils.edge_servers import EdgeServers
from ansible_collections.aimesh.mesh.plugins.module_utils.haproxy_runtime import RuntimeApi
from ansible_collections.aimesh.mesh.plugins.module_utils.host_files import FILE_OPTIONS, wanted_file
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import gate_of
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_observation import observed
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import supervisor_of
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, HostChangeError, changing
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_spec import GateError, SlotSpec, StepSpec
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_steps import Steps
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_undo import undo as undo_slot

SLOT_OPTIONS = {
    "name": {"type": "str", "required": True},
    "instance": {"type": "str", "default": ""},
    "server": {"type": "str", "default": ""},
    "fingerprint": {"type": "str", "default": ""},
    "ready": {"type": "dict"},
    "stop_s": {"type": "float", "default": 30},
    "oneshot": {"type": "bool", "default": False},
    "spare": {"type": "bool", "default": False},
    "reload": {"type": "bool", "default": False},
    "container": {"type": "dict"},
    "files": {"type": "list", "elements": "dict", "default": [], "options": FILE_OPTIONS},
}
ACTIONS = ["backup_point", "migrate", "edge", "drain", "stop", "start", "enable", "soak", "remove"]
GATE_OPTIONS = {"kind": {"type": "str", "default": "none"}, "limit": {"type": "raw"}}
STEP_OPTIONS = {
    "n": {"type": "int", "required": True},
    "action": {"type": "str", "required": True, "choices": ACTIONS},
    "unit": {"type": "str", "required": True},
    "server": {"type": "str", "default": ""},
    "gate": {"type": "dict", "default": {}, "options": GATE_OPTIONS},
    "timeout_s": {"type": "float", "default": 60},
    "last": {"type": "bool", "default": False},
    "host": {"type": "str", "default": ""},
    "slot": {"type": "str", "default": ""},
}


def slot_of(options: dict[str, Any], *, predict: bool) -> SlotSpec:
    return SlotSpec(
        unit=options["name"],
        server=options["server"],
        fingerprint=options["fingerprint"],
        files=tuple(wanted_file(file, predict=predict) for file in options["files"]),
        gate=gate_of(options["name"], options["ready"]),
        stop_s=options["stop_s"],
        oneshot=options["oneshot"],
        spare=options["spare"],
        reload=options["reload"],
    )


def step_of(options: dict[str, Any]) -> StepSpec:
    gate = options["gate"]
    return StepSpec(
        n=options["n"],
        action=options["action"],
        unit=options["unit"],
        server=options["server"],
        gate=gate.get("kind") or "none",
        limit="" if gate.get("limit") is None else str(gate["limit"]),
        timeout_s=options["timeout_s"],
        last=options["last"],
    )


def steps_on(module: AnsibleModule) -> Steps:
    params = module.params
    containers = {slot["name"]: slot["container"] for slot in params["slots"] if slot["container"]}
    # Looking needs no content, and in check mode a secret may not exist yet.
    predict = module.check_mode or params["verb"] != "perform"
    return Steps(
        state_dir=params["state_dir"],
        rollout=params["rollout"].get("id") or params["run_id"],
        slots={slot["name"]: slot_of(slot, predict=predict) for slot in params["slots"]},
        supervisor=supervisor_of(params["supervisor"], containers),
        edge=EdgeServers(RuntimeApi(params["haproxy_socket"])) if params["haproxy_socket"] else None,
        backup_command=tuple(params["backup_command"]),
        backup_dir=params["backup_dir"],
    )


def observe(module: AnsibleModule) -> dict[str, Any]:
    return observed(steps_on(module), module.params["haproxy_config"])


def perform(module: AnsibleModule) -> dict[str, Any]:
    if module.check_mode:
        return {"changed": bool(module.params["steps"]), "done": []}
    here, done, changed = steps_on(module), [], False
    for options in module.params["steps"]:
        step, begin = step_of(options), time.monotonic()
        entry = {"n": step.n, "action": step.action, "unit": step.unit, "gate": step.gate_text}
        try:
            seen = here.execute(step)
        except HostChangeError as error:
            words = error.seen if isinstance(error, GateError) else str(error)
            entry |= {"seconds": elapsed(begin), "seen": words}
            note(module, options, entry, "failed")
            module.fail_json(msg=str(error), changed=True, done=done, failed_step=entry)
        entry |= {"seconds": elapsed(begin), "seen": seen.text} | ({"cut": seen.cut} if seen.cut else {})
        note(module, options, entry, "done")
        done.append(entry)
        changed = changed or seen.changed
    return {"changed": changed, "done": done}


def undo(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    if module.check_mode:
        return {"changed": bool(params["units"]), "undone": []}
    here, undone = steps_on(module), []
    for unit in params["units"]:
        begin = time.monotonic()
        result = undo_slot(here, unit, params["timeout_s"])
        undone.append(
            {"unit": unit, "outcome": result.outcome, "seen": result.seen, "release": result.release}
            | {"seconds": elapsed(begin)}
        )
        entry = {"n": 0, "action": "undo", "unit": unit, "gate": "none", "seconds": elapsed(begin)}
        note(module, {"host": params["host"]}, entry | {"seen": f"{result.outcome}: {result.seen}"}, "done")
    return {"changed": any(each["outcome"] != "nothing" for each in undone), "undone": undone}


def note(module: AnsibleModule, options: dict[str, Any], entry: dict[str, Any], status: str) -> None:
    """Record a step where the rollout is recorded; other hosts' steps are recorded by the caller."""
    header = module.params["rollout"]
    if module.params["record_here"] and header.get("id"):
        host = options.get("host") or module.params["host"]
        rollout_record.add_step(module.params["state_dir"], header, entry | {"host": host, "status": status})


def elapsed(begin: float) -> float:
    return round(time.monotonic() - begin, 2)


VERBS = {"observe": observe, "perform": perform, "undo": undo}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "verb": {"type": "str", "default": "observe", "choices": list(VERBS)},
            "supervisor": {"type": "str", "default": "systemd", "choices": ["systemd", "compose"]},
            "haproxy_socket": {"type": "str", "default": ""},
            "haproxy_config": {"type": "str", "default": ""},
            "rollout": {"type": "dict", "default": {}, "options": rollout_record.HEADER_OPTIONS},
            "record_here": {"type": "bool", "default": False},
            "host": {"type": "str", "default": ""},
            "backup_command": {"type": "list", "elements": "str", "default": []},
            "backup_dir": {"type": "str", "default": ""},
            "slots": {"type": "list", "elements": "dict", "default": [], "options": SLOT_OPTIONS},
            "steps": {"type": "list", "elements": "dict", "default": [], "options": STEP_OPTIONS},
            "units": {"type": "list", "elements": "str", "default": []},
            "timeout_s": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    verb = module.params["verb"]
    with changing(module, f"rollout {verb}", writes=verb != "observe"):
        result = VERBS[verb](module)
    module.exit_json(**({"changed": False} | result))


if __name__ == "__main__":
    main()

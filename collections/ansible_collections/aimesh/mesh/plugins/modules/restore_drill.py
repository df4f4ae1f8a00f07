#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_drill
short_description: Restore the newest backup beside the live database, and measure what a disaster would cost
description:
  - C(check) refuses a drill that the plan does not have; C(plan) does so also when the plan is not what was applied,
    and says what the drill does. Nothing happens on a host.
  - C(hold) writes rows from the controller, waits for the moment of the disaster (C(moment)), restores into the
    scratch folder what was archived by then, starts that on a socket, looks for the rows, restores the newest dump
    into a second database there, and removes it again. The live database and its archive are only read.
  - The proof is C(<state>/drills/restore.json), also of a drill that failed; its numbers are published as metrics.
  - The action plugin makes its calls on the data host and none on the others. It takes everything from the plan.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
options:
  verb:
    description: What to do; C(moment) is the first part of C(hold).
    type: str
    required: true
    choices: [check, plan, moment, hold]
  applied:
    description: With C(plan), the applied plan, as M(aimesh.mesh.state) read it; only the controller looks at it.
    type: dict
  moment:
    description: When the disaster comes. Filled in by the action plugin.
    type: str
    default: worst
    choices: [worst, now]
  limit:
    description: The last segment that a restore may use. Filled in by the action plugin.
    type: str
    default: ""
  disaster:
    description: When the disaster came, in Unix seconds of the controller. Filled in by the action plugin.
    type: float
    default: 0.0
  rows:
    description: Names of acknowledged rows, each with when it was. Filled in by the action plugin.
    type: list
    elements: list
    default: []
  namespace:
    description: Namespace of the rows. Filled in by the action plugin.
    type: str
    default: aimesh-verify
  prefix:
    description: What names of the rows begin with. Filled in by the action plugin.
    type: str
    default: ""
  identity:
    description: The mesh's own key of age, which opens the newest dump. Filled in by the action plugin.
    type: str
    default: ""
  rpo_s:
    description: Seconds of acknowledged writes that may be lost. Filled in by the action plugin.
    type: float
    default: 60.0
  rto_s:
    description: Seconds that a restore may take. Filled in by the action plugin.
    type: float
    default: 1800.0
"""

EXAMPLES = r"""
- name: Backup restores
  aimesh.mesh.restore_drill:
    verb: hold
  register: _finished
"""

RETURN = r"""
lines:
  description: What the drill does, or the table of its stages.
  returned: check, plan and hold
  type: list
  elements: str
limit:
  description: The last segment that was archived before the disaster.
  returned: moment
  type: str
  sample: "000000010000000000000007"
proof:
  description: The whole proof.
  returned: hold
  type: dict
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 2
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.live import look
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import load_spec
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill import moment as disaster
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill import proof as drill
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, changing


def moment(module: AnsibleModule) -> dict[str, Any]:
    spec = load_spec()
    limit = disaster.choose(module.params["moment"], spec.archive_timeout_s, lambda: look(spec))
    return {"changed": False, "limit": limit}


def hold(module: AnsibleModule) -> dict[str, Any]:
    params, spec = module.params, load_spec()
    proof = drill.hold(
        spec,
        [(str(name), float(at)) for name, at in params["rows"]],
        limit=params["limit"],
        disaster=params["disaster"],
        promised=(params["rpo_s"], params["rto_s"]),
        identity=params["identity"],
        named={name: params[name] for name in ("run_id", "moment", "namespace", "prefix")},
    )
    drill.keep(spec, proof)
    return {"changed": True, "proof": proof}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "verb": {"type": "str", "required": True, "choices": ["check", "plan", "moment", "hold"]},
            "applied": {"type": "dict"},
            "moment": {"type": "str", "default": "worst", "choices": ["worst", "now"]},
            "limit": {"type": "str", "default": ""},
            "disaster": {"type": "float", "default": 0.0},
            "rows": {"type": "list", "elements": "list", "default": []},
            "namespace": {"type": "str", "default": "aimesh-verify"},
            "prefix": {"type": "str", "default": ""},
            "identity": {"type": "str", "default": "", "no_log": True},
            "rpo_s": {"type": "float", "default": 60.0},
            "rto_s": {"type": "float", "default": 1800.0},
        },
        supports_check_mode=True,
    )
    verb = module.params["verb"]
    if module.check_mode or verb in ("check", "plan"):
        module.exit_json(changed=False, lines=[])
    try:
        with changing(module, f"restore drill, {verb}", writes=verb == "hold"):
            result = hold(module) if verb == "hold" else moment(module)
    except BackupError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Make a backup of the mesh now, or tell how its backups are
description:
  - C(run) has the data host's own backup program make one backup, the same that its timers make. C(status) asks that
    program how old the backups are, what the archive of the write-ahead log lacks, and what failed.
  - The action plugin makes one call on the data host and none on the others. It takes everything from the plan.
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
    choices: [run, status]
  kind:
    description: With C(run), the backup to make. Filled in by the action plugin.
    type: str
    default: incremental
    choices: [full, differential, incremental, dump, configuration]
  program:
    description: The backup program of the host. Filled in by the action plugin.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Backup is made
  aimesh.mesh.backup:
    verb: run

- name: State of the backups is known
  aimesh.mesh.backup:
    verb: status
  register: _backups
"""

RETURN = r"""
message:
  description: What was made, in a sentence.
  returned: run
  type: str
  sample: Backup 20261128-030001F was made in repository 1.
status:
  description: What the backup program knows, see C(aimesh-backup status).
  returned: status
  type: dict
  sample: {problems: [], archive: {gaps: []}}
lines:
  description: What an operator reads.
  returned: success
  type: list
  elements: str
  sample: [Backup 20261128-030001F was made in repository 1.]
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_program import ProgramError, ask
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS

KINDS = ["full", "differential", "incremental", "dump", "configuration"]


def run(module: AnsibleModule) -> dict[str, Any]:
    kind = module.params["kind"]
    if module.check_mode:
        return {"changed": True, "message": "", "lines": [f"Backup {kind} would be made."]}
    begun = time.monotonic()
    told = ask(module.params["program"], kind)
    took = f"It took {time.monotonic() - begun:.1f} s."
    return {"changed": True, "message": told["message"], "lines": [told["message"], took]}


def status(module: AnsibleModule) -> dict[str, Any]:
    told = ask(module.params["program"], "status")
    found = told["status"]
    problems = found.get("problems", [])
    return {"changed": False, "status": found, "lines": [told["message"], *problems]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "verb": {"type": "str", "required": True, "choices": ["run", "status"]},
            "kind": {"type": "str", "default": "incremental", "choices": KINDS},
            "program": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module) if module.params["verb"] == "run" else status(module)
    except ProgramError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

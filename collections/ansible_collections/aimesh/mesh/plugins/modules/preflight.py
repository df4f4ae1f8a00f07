#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Compare hosts with the plan before the first change
description:
  - On each host, one call looks at the system, interpreter, processors, memory, the file systems that hold data, and at
    who listens on the planned ports.
  - With O(verdict=true), once on the controller and without a remote call, judges what all hosts of the mesh said. A
    host with another system than planned, and a planned port held by somebody else, are errors that name every case at
    once. Minima are those of the whole mesh; every shortfall is in one table, which is an error with
    C(mesh_preflight=strict) and a warning with C(warn).
version_added: 1.0.0
author:
  - aimesh (@aimesh)
extends_documentation_fragment:
  - aimesh.mesh.slice
options:
  verdict:
    description: Judge what the hosts said instead of asking one.
    type: bool
    default: false
  results:
    description: With O(verdict=true), the variable that holds what each host said.
    type: str
    default: _preflight
  paths:
    description: Where the host keeps data. Filled in by the action plugin.
    type: list
    elements: str
    default: []
  ports:
    description: Planned C(address) and C(port) of everything that will listen. Filled in by the action plugin.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: Address to listen on.
        type: str
        required: true
      port:
        description: TCP port.
        type: int
        required: true
      purpose:
        description: What will listen, for messages.
        type: str
        required: true
  own_units:
    description: systemd units of the mesh, which may hold its ports. Filled in by the action plugin.
    type: list
    elements: str
    default: []
  own_paths:
    description: Folders of the mesh; a process that runs something in them is ours. Filled in by the action plugin.
    type: list
    elements: str
    default: []
  own_project:
    description: Compose project of the mesh; a port that Docker holds for a container of it is ours. Filled in by the
      action plugin.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Host fits the plan
  aimesh.mesh.preflight:
  register: _preflight

- name: Mesh as a whole fits its size
  aimesh.mesh.preflight:
    verdict: true
  run_once: true
"""

RETURN = r"""
host:
  description: What the host is.
  returned: without O(verdict)
  type: dict
  sample: {os: debian-13, python: cp313, arch: x86_64, systemd: true, vcpus: 8, memory_mb: 16384,
    disks: [{paths: [/var/lib/aimesh], size_gb: 120.0, free_gb: 96.5}]}
held_ports:
  description: Planned ports that somebody else holds.
  returned: without O(verdict)
  type: list
  elements: dict
  sample: [{address: 0.0.0.0, port: 3000, purpose: endpoint api-gateway, pid: 812, program: nginx, unit: nginx}]
shortfalls:
  description: What the mesh has less of than its size needs.
  returned: with O(verdict=true)
  type: list
  elements: dict
  sample: [{what: vCPUs, found: 2, minimum: 8, hosts: "vm1: 2"}]
remote_calls:
  description: Number of remote calls that this task made.
  returned: always
  type: int
  sample: 1
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils import unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_ports import PROXY, ports_of_project
from ansible_collections.aimesh.mesh.plugins.module_utils.listeners import Owner, listeners, overlaps, owners
from ansible_collections.aimesh.mesh.plugins.module_utils.machine import describe
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS


def is_ours(owner: Owner, units: set[str], pids: set[int], paths: list[str]) -> bool:
    """Whether a process belongs to the mesh: by its unit, by our record, or by what it runs."""
    if owner.unit in units or owner.pid in pids:
        return True
    return any(part.startswith(f"{path}/") or part == path for part in owner.command for path in paths)


def published_by_us(owner: Owner | None, port: int, project: str) -> bool:
    """Whether Docker holds the port for a container of the mesh."""
    return owner is not None and owner.program == PROXY and bool(project) and port in ports_of_project(project)


def held_ports(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Planned ports that a process that is not ours listens on."""
    recorded = unit_records.read_records(params["state_dir"])
    units = {*params["own_units"], *recorded}
    pids = {record.pid for record in recorded.values() if record.pid}
    open_now = listeners()
    clashes = [
        (wanted, listener)
        for wanted in params["ports"]
        for listener in open_now
        if listener.port == wanted["port"] and overlaps(listener.address, wanted["address"])
    ]
    by_inode = owners(listener.inode for _wanted, listener in clashes)
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for wanted, listener in clashes:
        owner = by_inode.get(listener.inode)
        if owner is not None and is_ours(owner, units, pids, params["own_paths"]):
            continue
        if published_by_us(owner, listener.port, params["own_project"]):
            continue
        who = {"pid": owner.pid, "program": owner.program, "unit": owner.unit} if owner else {"pid": 0}
        # One process often has a socket for each family, and one complaint about it is enough.
        found.setdefault((listener.port, who["pid"]), {**wanted, "address": listener.address, **who})
    return list(found.values())


def main() -> None:
    port_options = {
        "address": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "purpose": {"type": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "paths": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "dict", "default": [], "options": port_options},
            "own_units": {"type": "list", "elements": "str", "default": []},
            "own_paths": {"type": "list", "elements": "str", "default": []},
            "own_project": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        held = held_ports(module.params)
    except StateFileError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, host=describe(module.params["paths"]), held_ports=held)


if __name__ == "__main__":
    main()

#!/usr/bin/python
"""Takes away from one host what our records say is ours; data, backups and secrets only when that was confirmed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: removal
short_description: Removal of the mesh from one host
version_added: 1.0.0
description:
  - Takes away units, containers, files, releases, packages, accounts and directories that the records in the state
    directory name.
  - Data stays unless O(remove_data) is the name of the mesh. Backups and the secret store stay unless O(remove_backups)
    is the name of the mesh too.
  - What is kept stays recorded, so that a later deploy adopts it. With both confirmations nothing is left.
  - Packages that were there before the first deploy stay, and so does a directory that holds something of others.
  - Processes of the local platform are stopped by M(aimesh.mesh.processes) before this.
extends_documentation_fragment: aimesh.mesh.slice
author: aimesh (@aimesh)
options:
  mesh_name: {description: Name of the mesh., type: str, required: true}
  remove_data: {description: Name of the mesh confirms the removal of its data., type: str, default: ""}
  remove_backups: {description: Name of the mesh confirms the removal of backups and secrets., type: str, default: ""}
  plan_only: {description: Only returns what would go and what would stay., type: bool, default: false}
  units: {description: Units to stop. Recorded ones are added., type: list, elements: str, default: []}
  systemd:
    description: Whether systemd runs the units. Otherwise units of the same name belong to another mesh and stay.
    type: bool
    default: true
  project:
    description: Compose project whose containers and networks go, with the images that we brought. Nothing else in the
      Docker Engine is touched, and the engine stays where it has anything of others.
    type: str
    default: ""
  releases: {description: Folder of all releases., type: path, required: true}
  volatile: {description: Folders of logs and sockets., type: list, elements: path, default: []}
  backups: {description: Folders of backups., type: list, elements: path, default: []}
  secret_store: {description: File of the secret store on this host., type: path, default: ""}
  cluster:
    description: The PostgreSQL cluster that Debian's tools made for us.
    type: dict
    suboptions:
      version: {description: Major version., type: str, required: true}
      name: {description: Name of the cluster., type: str, required: true}
      data_dir: {description: Folder of its data., type: path, required: true}
"""

EXAMPLES = r"""
- name: What a removal would take is known
  aimesh.mesh.removal:
    plan_only: true
  register: _removal

- name: Operator reads what goes and what stays
  ansible.builtin.debug:
    msg: "{{ _removal.listing }}"

- name: Host has nothing of the mesh but its data
  aimesh.mesh.removal:

- name: Host has nothing of the mesh
  aimesh.mesh.removal:
    remove_data: acme
    remove_backups: acme
"""

RETURN = r"""
goes:
  description: What went, or would go.
  returned: success
  type: list
  elements: dict
  sample: [{kind: file, name: /etc/aimesh/app.env, size: 214, why: ""}]
kept:
  description: What stays, and why.
  returned: success
  type: list
  elements: dict
  sample: [{kind: data, name: /var/lib/redis-mesh, size: 1048, why: "remove it with mesh_remove_data: acme"}]
listing:
  description: The same for reading, with sizes and the last good backup.
  returned: success
  type: list
  elements: str
  sample: ["goes: 9 units", "last good backup: none is recorded"]
remote_calls:
  description: Remote calls that the task made.
  returned: always
  type: int
  sample: 1
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils import unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.history import read_history
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import UNITS
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import Manifest, load_manifest
from ansible_collections.aimesh.mesh.plugins.module_utils.package_record import (
    accounts,
    load_packages,
    settle,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_facts import DebianCluster, Places, gather
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_plan import Confirmed, confirmations, decide, listing
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_steps import Remover
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, changing

SCHEDULE = f"/etc/systemd/system/{UNITS}"
BACKUPS = ("ready", "full", "differential", "incremental")


def schedule_of(manifest: Manifest) -> list[str]:
    """Units of backups, which systemd runs on every platform; the timers come last, and are thus stopped first."""
    ours = [Path(path).name for path in manifest.files if path.startswith(SCHEDULE)]
    return sorted(ours, key=lambda name: (name.endswith(".timer"), name))


def last_backup(state_dir: str) -> str:
    """When the newest backup from which the database can be restored was made; empty when none is recorded."""
    try:
        history = read_history(state_dir)
    except BackupError:
        return ""
    ended = [success.finished for kind in BACKUPS if (success := history.of(kind).success)]
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(max(ended))) if ended else ""


def run(module: AnsibleModule, confirmed: Confirmed) -> dict[str, Any]:
    params = module.params
    state_dir: str = params["state_dir"]
    manifest, packages = load_manifest(state_dir), load_packages(state_dir)
    if packages.pending:
        packages = settle(packages, set(packages.pending), accounts())
    recorded = unit_records.recorded_names(state_dir)
    names = dict.fromkeys([*params["units"], *recorded]) if params["systemd"] else {}
    units = [*(f"{name}.service" for name in names), *schedule_of(manifest)]
    cluster = DebianCluster(**params["cluster"]) if params["cluster"] else None
    places = Places(
        state=state_dir,
        releases=params["releases"],
        volatile=tuple(params["volatile"]),
        backups=tuple(params["backups"]),
        secret_store=params["secret_store"],
        project=params["project"],
    )
    found = gather(places, manifest, packages, units, cluster)
    removal = decide(found, confirmed, params["mesh_name"])
    result: dict[str, Any] = {
        "changed": bool(removal.goes) and not params["plan_only"],
        "listing": listing(removal, last_backup(state_dir)),
    }
    if module._diff and not params["plan_only"]:
        gone = "".join(f"{item.kind} {item.name}\n" for item in removal.goes)
        result["diff"] = {"before_header": "of the mesh", "after_header": "removed", "before": gone, "after": ""}
    if removal.goes and not params["plan_only"] and not module.check_mode:
        Remover(places, manifest, packages, cluster).remove(removal, purge=confirmed.data)
    result["goes"] = [asdict(item) for item in removal.goes]
    result["kept"] = [asdict(item) for item in removal.kept]
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "mesh_name": {"type": "str", "required": True},
            "remove_data": {"type": "str", "default": ""},
            "remove_backups": {"type": "str", "default": ""},
            "plan_only": {"type": "bool", "default": False},
            "units": {"type": "list", "elements": "str", "default": []},
            "systemd": {"type": "bool", "default": True},
            "project": {"type": "str", "default": ""},
            "releases": {"type": "path", "required": True},
            "volatile": {"type": "list", "elements": "path", "default": []},
            "backups": {"type": "list", "elements": "path", "default": []},
            "secret_store": {"type": "path", "default": "", "no_log": False},
            "cluster": {
                "type": "dict",
                "options": {
                    "version": {"type": "str", "required": True},
                    "name": {"type": "str", "required": True},
                    "data_dir": {"type": "path", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    result: dict[str, Any] = {}
    # The lock makes the state directory; where there is none, nothing is ours but a cluster that was never recorded.
    writes = not module.params["plan_only"] and Path(module.params["state_dir"]).is_dir()
    with changing(module, "removal", writes=writes):
        params = module.params
        confirmed = confirmations(params["mesh_name"], params["remove_data"], params["remove_backups"])
        result = run(module, confirmed)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) aimesh contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action `aimesh.mesh.plan`, which runs on the controller only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Resolve the inventory into the plan of the mesh
version_added: "1.0.0"
description:
  - Turns the variables of the whole inventory and the size profile into one validated document, which every later task
    reads. The whole inventory counts, whatever C(--limit) says.
  - Bad input gives all errors at once, each with the variable, and file and line where known.
  - Touches no host. Writes the plan in check mode too, and never reports a change.
options:
  build_dir:
    description: Folder for C(plan.json). The default is C(build/<mesh_name>) in the repository that holds the playbook.
    type: path
  applied_plan:
    description:
      - The applied plan, as a mapping or the path of a JSON file on the controller. With it, the task refuses to lower
        the version or to undo an earlier C(mesh_scale), unless C(mesh_accept_inventory) is true.
      - A mesh of local processes needs none; its applied plan is found in its state directory.
    type: raw
  for_removal:
    description: Make do without a release and without readable secrets, which a removal does not need.
    type: bool
    default: false
  rollback:
    description:
      - What M(aimesh.mesh.state) with C(verb=read) said on the state host. The plan is then that of the release before
        the applied one, of the applied one while an update is unfinished, or of the one in C(mesh_target_version),
        whether or not its folder is on this controller.
    type: raw
attributes:
  check_mode:
    support: full
    description: Does the same as without check mode.
  diff_mode:
    support: none
    description: Never changes anything.
  action:
    support: full
    description: Runs on the controller.
author:
  - aimesh contributors (@aimesh)
"""

EXAMPLES = r"""
- name: The plan of the mesh
  hosts: mesh
  gather_facts: false
  tasks:
    - name: The plan is resolved
      aimesh.mesh.plan:
      run_once: true
      register: plan_result
"""

RETURN = r"""
plan_path:
  description: Where the plan was written.
  returned: success
  type: str
  sample: /srv/aimesh/build/acme/plan.json
digest:
  description: Digest of what the mesh is.
  returned: success
  type: str
  sample: sha256:880a719e588dfb450d1e6ddb9eeacd1eee74b8cb2c6ae7f44f130c9390221898
platform:
  description: The platform, which names the driver.
  returned: success
  type: str
  sample: systemd
mesh_name:
  description: Name of the mesh.
  returned: success
  type: str
  sample: acme
state_host:
  description: Inventory name of the host that holds the state home.
  returned: success
  type: str
  sample: vm1
state_path:
  description: Folder of the state home on that host.
  returned: success
  type: str
  sample: /var/lib/aimesh
release:
  description: Full id of the release.
  returned: success
  type: str
  sample: 1.0.0+0123abcd
hosts:
  description: Hosts of the mesh.
  returned: success
  type: list
  elements: str
  sample: [vm1]
drill:
  description: The drill that C(playbooks/drill.yml) holds.
  returned: success
  type: str
  sample: alerts
urls:
  description: Service to the URL that an operator opens.
  returned: success
  type: dict
  sample:
    ui: http://192.0.2.10:3005
"""

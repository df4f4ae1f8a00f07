#!/usr/bin/python
# Copyright (c) aimesh contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action `aimesh.mesh.secrets`, which runs on the controller only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets
short_description: Every secret of the mesh is in its store
version_added: "1.0.0"
description:
  - Generates the secrets that the store does not have yet. Existing ones stay as they are.
  - A store that cannot be written gives one error that names every missing secret; nothing is generated that could not
    be kept, and nothing for an inventory that has errors.
  - Takes no options. No value of a secret appears in a result, a diff or a log.
attributes:
  check_mode:
    support: full
    description: Says which secrets would be generated.
  diff_mode:
    support: none
    description: Secrets are never shown.
  action:
    support: full
    description: Runs on the controller.
author:
  - aimesh contributors (@aimesh)
"""

EXAMPLES = r"""
- name: The secrets of the mesh
  hosts: mesh
  gather_facts: false
  tasks:
    - name: Every secret is in the store
      aimesh.mesh.secrets:
      run_once: true
"""

RETURN = r"""
generated:
  description: Names of the secrets that were generated, in check mode of those that would be.
  returned: success
  type: list
  elements: str
  sample: [redis_password]
store:
  description: Kind of the store.
  returned: success
  type: str
  sample: vault
path:
  description: The store's file on the controller.
  returned: success
  type: str
  sample: inventories/acme/secrets.yml
"""

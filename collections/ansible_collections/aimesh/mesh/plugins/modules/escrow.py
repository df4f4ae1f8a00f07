#!/usr/bin/python

from __future__ import annotations

DOCUMENTATION = r"""
module: escrow
short_description: Fill a lost secret store out of the sealed archive of all secrets
description:
  - Without the variable C(mesh_escrow_key) nothing is done. With it, the archive that C(mesh_escrow_archive) names is
    opened on the controller, and every secret that the store lacks is put into it, with all its versions.
  - Works on the controller alone; nothing reaches a host.
version_added: 1.2.0
author:
  - aimesh (@aimesh)
"""

EXAMPLES = r"""
- name: Secrets out of escrow are in their store
  aimesh.mesh.escrow:
  run_once: true
"""

RETURN = r"""
added:
  description: Names of the secrets that were added.
  returned: success
  type: list
  elements: str
  sample: [backup_passphrase]
"""

#!/usr/bin/python
"""Brings one release of the mesh app to a host: unpacked once, immutable, from files that the controller sends."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: A release of the mesh app on one host
version_added: 1.0.0
description:
  - Installs the plan's release into C(<root>/<id>/venv) from wheels that the controller sends; no network is needed.
  - A release counts as installed when its marker file, written last, names the wanted digest. Anything else is rebuilt.
  - Keeps the wanted release, the applied one and the three used last; older ones are deleted when one is installed.
  - When nothing changes this is one remote call; the files are sent only to a host that lacks the release.
extends_documentation_fragment: aimesh.mesh.slice
author: aimesh (@aimesh)
options:
  id: {description: Full release id., type: str, required: true}
  root: {description: Folder of all releases., type: path, required: true}
  digest:
    description: What names the content of the installation. Empty accepts what is installed under the id.
    type: str
    default: ""
  python: {description: Python tag that the wheels are for., type: str, required: true}
  interpreter: {description: Python that the virtual environment uses., type: path, default: /usr/bin/python3}
  owner: {description: Owner of the installed files. Empty leaves the user who runs., type: str, default: ""}
  group: {description: Group of the installed files. Empty leaves it., type: str, default: ""}
  files:
    description: What the archive holds.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name in the archive., type: str, required: true}
      sha256: {description: Checksum., type: str, required: true}
  archive: {description: The archive on the host. Given only in the second call., type: path}
"""

EXAMPLES = r"""
- name: Host has the release of the mesh app
  aimesh.mesh.release:
"""

RETURN = r"""
release:
  description: Id of the release.
  returned: success
  type: str
  sample: 1.0.0+0123abcd
path:
  description: Folder of the release.
  returned: success
  type: str
  sample: /opt/aimesh/releases/1.0.0+0123abcd
removed:
  description: Releases that were deleted.
  returned: success
  type: list
  elements: str
  sample: []
remote_calls:
  description: Remote calls that the task made; 1 when nothing changed.
  returned: always
  type: int
  sample: 1
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.host_directories import make_directories, missing_ancestors
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import load_manifest, save_manifest
from ansible_collections.aimesh.mesh.plugins.module_utils.ownership import resolve_ownership
from ansible_collections.aimesh.mesh.plugins.module_utils.release_install import (
    RELEASE_ID,
    ReleaseSpec,
    discard,
    install,
    is_installed,
    releases_below,
    superfluous,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, HostChangeError, changing
from ansible_collections.aimesh.mesh.plugins.module_utils.state_home import read_applied, read_history


def make_root(state_dir: str, root: str) -> None:
    """Make the folder of all releases and record what is ours of it."""
    makes = missing_ancestors(root)
    if makes:
        manifest = load_manifest(state_dir)
        manifest.directories.update(dict.fromkeys(makes, False))
        save_manifest(state_dir, manifest)
        make_directories(makes)


def prune(state_dir: str, spec: ReleaseSpec) -> list[str]:
    applied = read_applied(state_dir)
    history = [str(entry["release"]) for entry in read_history(state_dir)]
    going = superfluous(releases_below(spec.root), spec.id, applied["release"]["id"] if applied else None, history)
    for name in going:
        discard(Path(spec.root) / name)
    return going


def run(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    spec = ReleaseSpec(
        id=params["id"],
        root=params["root"],
        digest=params["digest"],
        python=params["python"],
        interpreter=params["interpreter"],
        files=tuple((row["name"], row["sha256"]) for row in params["files"]),
    )
    if not RELEASE_ID.match(spec.id):
        raise HostChangeError(f"The release id {spec.id} is not of the form 1.0.0+0123abcd.")
    result: dict[str, Any] = {"changed": False, "release": spec.id, "path": str(spec.path), "removed": []}
    if is_installed(spec):
        return result
    if module._diff:
        header = f"release below {spec.root}"
        result["diff"] = {
            "before_header": header,
            "after_header": header,
            "before": "",
            "after": f"{spec.id}\n",
        }
    if module.check_mode:
        return result | {"changed": True}
    if not params["archive"]:
        return result | {"needs_archive": True}
    own = resolve_ownership(str(spec.path), params["owner"], params["group"], "0755", predict=False)

    def give(path: Path) -> None:
        if (own.uid, own.gid) != (-1, -1):
            os.chown(path, own.uid, own.gid, follow_symlinks=False)

    make_root(params["state_dir"], spec.root)
    install(spec, params["archive"], give)
    return result | {"changed": True, "removed": prune(params["state_dir"], spec)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "id": {"type": "str", "required": True},
            "root": {"type": "path", "required": True},
            "digest": {"type": "str", "default": ""},
            "python": {"type": "str", "required": True},
            "interpreter": {"type": "path", "default": "/usr/bin/python3"},
            "owner": {"type": "str", "default": ""},
            "group": {"type": "str", "default": ""},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "sha256": {"type": "str", "required": True},
                },
            },
            "archive": {"type": "path"},
        },
        supports_check_mode=True,
    )
    result: dict[str, Any] = {}
    with changing(module, "release"):
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
"""Brings the Debian packages of the mesh to one host, quietly, and records which of them came through us."""

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Debian packages of the mesh on one host
version_added: 1.0.0
description:
  - Installs what is missing, without recommended packages, and starts no service of it.
  - Package lists are fetched only when something is missing and ours are older than an hour.
  - Records the packages it added, so that M(aimesh.mesh.removal) leaves those that were there before.
  - Waits for other package tools, at most two minutes.
  - In a playbook only O(templates) is given; the action plugin renders the rest from the plan.
extends_documentation_fragment: aimesh.mesh.slice
author: aimesh (@aimesh)
options:
  names:
    description: Packages to have.
    type: list
    elements: str
    default: []
  docker:
    description:
      - Whether O(names) are a Docker Engine with Compose. They are installed and started only where none answers; one
        that does is left as it is, and refused in one sentence when it is too old.
    type: bool
    default: false
  files:
    description: Files that must be there before the packages configure themselves. As in M(aimesh.mesh.files).
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
      validate: {description: Command that checks the content., type: list, elements: str, default: []}
"""

EXAMPLES = r"""
- name: Host has the packages of its roles
  aimesh.mesh.packages:
    templates: "{{ role_path }}/templates"
"""

RETURN = r"""
packages:
  description: Packages of the plan that were missing.
  returned: success
  type: list
  elements: str
  sample: [haproxy]
added:
  description: Packages that were added, dependencies included. In check mode only those of the plan.
  returned: success
  type: list
  elements: str
  sample: [haproxy, liblua5.4-0]
docker:
  description: What was done about the Docker Engine, C(nothing), C(start) or C(install).
  returned: with O(docker)
  type: str
  sample: nothing
files:
  description: Files that differed, each with what differed.
  returned: success
  type: dict
  sample: {/etc/postgresql-common/createcluster.d/aimesh.conf: [absent]}
remote_calls:
  description: Remote calls that the task made.
  returned: always
  type: int
  sample: 1
"""

import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils import apt, docker_engine
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_engine import Need
from ansible_collections.aimesh.mesh.plugins.module_utils.host_files import FILE_OPTIONS, hide_contents, wanted_file
from ansible_collections.aimesh.mesh.plugins.module_utils.managed_files import apply_files, compare_files
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import load_manifest
from ansible_collections.aimesh.mesh.plugins.module_utils.no_autostart import no_autostart, restore_policy
from ansible_collections.aimesh.mesh.plugins.module_utils.package_record import (
    PackageRecord,
    accounts,
    load_packages,
    save_packages,
    settle,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, HostChangeError, changing

LISTS_FRESH_S = 3600.0


def missing_packages(names: list[str], status: dict[str, str]) -> list[str]:
    """Packages that are not fully installed, in the order of the plan."""
    return [name for name in names if status.get(name) != "installed"]


def install_missing(missing: list[str], state_dir: str, record: PackageRecord) -> list[str]:
    """Install packages and record what that added. Raises HostChangeError."""
    if os.geteuid() != 0:
        raise HostChangeError(
            f"The packages {', '.join(missing)} are missing and only root can install them; set ansible_become: true."
        )
    # An interrupted installation is finished here, so its view of the accounts before it still counts.
    record.accounts_before = record.accounts_before if record.pending else accounts()
    interrupted = record.pending
    with no_autostart():
        apt.configure_pending()
        before = _installed()
        stale = not apt.lists_present() or time.time() - record.lists_updated > LISTS_FRESH_S
        update_error = _update(state_dir, record) if stale else None
        try:
            record.pending = apt.planned_installation(missing)
        except apt.AptError as error:
            if update_error is not None:
                raise apt.AptError(f"{error} ({update_error})") from None
            if stale:
                raise
            _update(state_dir, record)
            record.pending = apt.planned_installation(missing)
        record.pending = sorted({*record.pending, *interrupted})
        save_packages(state_dir, record)
        apt.install(missing)
    status = apt.installed_packages()
    still = missing_packages(missing, status)
    if still:
        raise HostChangeError(
            f"apt-get ended well and {', '.join(still)} is still not installed; look at /var/log/dpkg.log."
        )
    return sorted(_installed() - before)


def _installed() -> set[str]:
    return {name for name, status in apt.installed_packages().items() if status == "installed"}


def _present(status: dict[str, str]) -> set[str]:
    return {name for name, seen in status.items() if seen not in ("not-installed", "config-files")}


def _update(state_dir: str, record: PackageRecord) -> apt.AptError | None:
    """Fetch the lists. A failure is returned: what is cached may be enough, and if not, it explains why."""
    try:
        apt.update_lists()
    except apt.AptError as error:
        return error
    record.lists_updated = time.time()
    save_packages(state_dir, record)
    return None


def _engine_need(status: dict[str, str]) -> Need:
    installed = {name for name, seen in status.items() if seen == "installed"}
    return docker_engine.need(docker_engine.look(), installed)


def run(module: AnsibleModule) -> dict[str, Any]:
    state_dir, names, dry = module.params["state_dir"], module.params["names"], bool(module.check_mode)
    manifest = load_manifest(state_dir)
    wanted = [wanted_file(options, predict=dry) for options in module.params["files"]]
    changes = compare_files(wanted, manifest)
    status = apt.installed_packages()
    engine = _engine_need(status) if module.params["docker"] else None
    missing = [] if engine in (Need.NOTHING, Need.START) else missing_packages(names, status)
    added = list(missing)
    if not dry:
        restore_policy()
        record = load_packages(state_dir)
        apply_files(state_dir, manifest, wanted, changes)
        if missing:
            added = install_missing(missing, state_dir, record)
            record.pending = sorted({*record.pending, *added})
        if record.pending:
            record = settle(record, _present(apt.installed_packages()), accounts())
            save_packages(state_dir, record)
        if engine in (Need.START, Need.INSTALL):
            docker_engine.start()
    result: dict[str, Any] = {
        "changed": bool(missing or changes or engine is Need.START),
        "packages": missing,
        "added": added,
        "files": {change.path: list(change.what) for change in changes},
    }
    if engine is not None:
        result["docker"] = str(engine)
    if module._diff:
        result["diff"] = [change.diff for change in changes]
        if missing:
            text = "".join(f"{name}\n" for name in added)
            result["diff"].append(
                {"before_header": "packages", "after_header": "packages", "before": "", "after": text}
            )
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "names": {"type": "list", "elements": "str", "default": []},
            "docker": {"type": "bool", "default": False},
            "files": {"type": "list", "elements": "dict", "default": [], "options": FILE_OPTIONS},
        },
        supports_check_mode=True,
    )
    result: dict[str, Any] = {}
    with changing(module, "packages"):
        hide_contents(module, module.params["files"])
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

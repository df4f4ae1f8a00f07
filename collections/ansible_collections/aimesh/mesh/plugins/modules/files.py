#!/usr/bin/python
"""Brings the groups, users, directories and files of the mesh on one host to their state, in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Groups, users, directories and files of the mesh on one host
version_added: 1.0.0
description:
  - Takes the whole list that the plan has for a host, and returns what differed.
  - A file is written beside its place and renamed. Nothing is reported as changed that did not differ.
  - What an earlier run managed and the list no longer names is removed. Nothing else is ever removed.
  - Directories that existed before keep owner and mode unless they are listed.
  - Users that existed before only join groups they miss.
  - In a playbook only O(templates) is given; the action plugin renders the rest from the plan.
extends_documentation_fragment: aimesh.mesh.slice
author: aimesh (@aimesh)
options:
  groups:
    description: Groups to have.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      system: {description: Whether it gets an id from the range for the system., type: bool, default: true}
  users:
    description: Users to have. Their home directory is not made.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      group: {description: Primary group., type: str, required: true}
      home: {description: Home directory., type: str, default: /nonexistent}
      shell: {description: Login shell., type: str, default: /usr/sbin/nologin}
      system: {description: Whether it gets an id from the range for the system., type: bool, default: true}
      groups: {description: Further groups., type: list, elements: str, default: []}
  directories:
    description: Directories to have, in the order in which they are made.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      owner: {description: Owner. Empty leaves it as it is., type: str, default: ""}
      group: {description: Group. Empty leaves it as it is., type: str, default: ""}
      mode: {description: Octal mode., type: str, default: "0755"}
      keep: {description: Whether it holds data that M(aimesh.mesh.removal) keeps., type: bool, default: false}
  files:
    description: Files to have, in the order in which they are written.
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
      validate:
        description:
          - Command and arguments that check the content before it is put in place. C({path}) stands for the candidate.
          - Not run in check mode, because the candidate is not written.
        type: list
        elements: str
        default: []
  leave:
    description:
      - Paths that are neither written nor removed, whatever the list of files says.
      - In a playbook V(slots) stands for what only a rollout writes, the files of slots, of the migration and of
        HAProxy's servers.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Host has the files of the mesh
  aimesh.mesh.files:
    templates: "{{ role_path }}/templates"

- name: Host has the files that a rollout does not write slot by slot
  aimesh.mesh.files:
    templates: "{{ role_path }}/templates"
    leave: slots
"""

RETURN = r"""
groups:
  description: Groups that were made.
  returned: success
  type: list
  elements: str
  sample: [aimesh]
users:
  description: Users that were made or changed.
  returned: success
  type: list
  elements: str
  sample: [aimesh]
directories:
  description: Directories that were made or got another owner or mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/aimesh]
files:
  description: Files that differed, each with what differed (absent, content, owner, group, mode).
  returned: success
  type: dict
  sample: {/etc/aimesh/app.env: [content]}
removed:
  description: Files, and directories of ours left empty, that went because the plan no longer names them.
  returned: success
  type: list
  elements: str
  sample: [/etc/aimesh/old.env]
remote_calls:
  description: Remote calls that the task made.
  returned: always
  type: int
  sample: 1
"""

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.accounts import (
    GroupSpec,
    UserSpec,
    group_step,
    run_step,
    user_step,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.host_directories import (
    apply_directory,
    compare_directory,
    wanted_directory,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.host_files import (
    FILE_OPTIONS,
    hide_contents,
    removal_diff,
    wanted_file,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.managed_files import apply_files, compare_files
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import Manifest, load_manifest, save_manifest
from ansible_collections.aimesh.mesh.plugins.module_utils.session import COMMON_OPTIONS, changing

GROUP_OPTIONS = {"name": {"type": "str", "required": True}, "system": {"type": "bool", "default": True}}
USER_OPTIONS = {
    "name": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "home": {"type": "str", "default": "/nonexistent"},
    "shell": {"type": "str", "default": "/usr/sbin/nologin"},
    "system": {"type": "bool", "default": True},
    "groups": {"type": "list", "elements": "str", "default": []},
}
DIRECTORY_OPTIONS = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": ""},
    "group": {"type": "str", "default": ""},
    "mode": {"type": "str", "default": "0755"},
    "keep": {"type": "bool", "default": False},
}


@dataclass
class Outcome:
    groups: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.groups or self.users or self.directories or self.files or self.removed)


class FilesModule:
    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.dry = bool(module.check_mode)
        self.state_dir: str = module.params["state_dir"]
        self.manifest: Manifest = load_manifest(self.state_dir)
        self.left = frozenset(module.params["leave"])
        self.outcome = Outcome()

    def run(self) -> Outcome:
        self._groups()
        self._users()
        self._directories()
        self._files()
        self._prune()
        return self.outcome

    def _note(self, title: str, before: str, after: str) -> None:
        self.outcome.diff.append({"before_header": title, "after_header": title, "before": before, "after": after})

    def _groups(self) -> None:
        for options in self.module.params["groups"]:
            step = group_step(GroupSpec(**options))
            if step is None:
                continue
            self.outcome.groups.append(step.name)
            self._note(f"group {step.name}", "absent\n", "present\n")
            if not self.dry:
                self._record(self.manifest.groups, step.name)
                run_step(step)

    def _users(self) -> None:
        for options in self.module.params["users"]:
            spec = UserSpec(**options | {"groups": tuple(options["groups"])})
            step = user_step(spec, ours=spec.name in self.manifest.users)
            if step is None:
                continue
            self.outcome.users.append(step.name)
            self._note(f"user {step.name}", "absent\n" if step.creates else "differs\n", f"{' '.join(step.command)}\n")
            if not self.dry:
                if step.creates:
                    self._record(self.manifest.users, step.name)
                run_step(step)

    def _record(self, names: list[str], name: str) -> None:
        if name not in names:
            names.append(name)
            save_manifest(self.state_dir, self.manifest)

    def _directories(self) -> None:
        for options in self.module.params["directories"]:
            wanted = wanted_directory(options, predict=self.dry)
            change = compare_directory(wanted)
            if change is not None:
                self.outcome.directories.append(wanted.path)
                self.outcome.diff.append(change.diff)
            if self.dry:
                continue
            made = dict.fromkeys(change.makes, False) if change else {}
            ours = self.manifest.directories | made
            if wanted.path in ours:
                ours[wanted.path] = wanted.keep
            if ours != self.manifest.directories:
                self.manifest.directories = ours
                save_manifest(self.state_dir, self.manifest)
            if change is not None:
                apply_directory(wanted, change)

    def _files(self) -> None:
        wanted = [
            wanted_file(options, predict=self.dry)
            for options in self.module.params["files"]
            if options["path"] not in self.left
        ]
        changes = compare_files(wanted, self.manifest)
        self.outcome.files = {change.path: list(change.what) for change in changes}
        self.outcome.diff += [change.diff for change in changes]
        if not self.dry:
            apply_files(self.state_dir, self.manifest, wanted, changes)

    def _prune(self) -> None:
        wanted = {options["path"] for options in self.module.params["files"]}
        stale = sorted(set(self.manifest.files) - wanted - self.left)
        if not stale and not self._stale_directories([]):
            return
        for path in stale:
            try:
                is_file = not stat.S_ISDIR(Path(path).lstat().st_mode)
            except (FileNotFoundError, NotADirectoryError):
                is_file = False
            if is_file:
                self.outcome.removed.append(path)
                self.outcome.diff.append(removal_diff(path, self.manifest.files[path]))
                if not self.dry:
                    Path(path).unlink()
            if not self.dry:
                del self.manifest.files[path]
        for path in self._stale_directories(stale):
            self.outcome.removed.append(path)
            if not self.dry:
                Path(path).rmdir()
                del self.manifest.directories[path]
        if not self.dry:
            save_manifest(self.state_dir, self.manifest)

    def _stale_directories(self, going: list[str]) -> list[str]:
        """Directories of ours, innermost first, that nothing wanted lies in and that hold at most what is going."""
        needed = [options["path"] for options in [*self.module.params["files"], *self.module.params["directories"]]]
        needed += [self.state_dir, *(path for path in self.manifest.files if path in self.left)]
        gone = set(going)
        stale = []
        for path in sorted(self.manifest.directories, key=lambda name: -len(Path(name).parts)):
            if self.manifest.directories[path] or any(Path(name).is_relative_to(path) for name in needed):
                continue
            if not Path(path).is_dir() or Path(path).is_symlink():
                continue
            if all(str(child) in gone for child in Path(path).iterdir()):
                stale.append(path)
                gone.add(path)
        return stale


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "groups": {"type": "list", "elements": "dict", "default": [], "options": GROUP_OPTIONS},
            "users": {"type": "list", "elements": "dict", "default": [], "options": USER_OPTIONS},
            "directories": {"type": "list", "elements": "dict", "default": [], "options": DIRECTORY_OPTIONS},
            "files": {"type": "list", "elements": "dict", "default": [], "options": FILE_OPTIONS},
            "leave": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    with changing(module, "files"):
        hide_contents(module, module.params["files"])
        outcome = FilesModule(module).run()
    result: dict[str, Any] = {
        "changed": outcome.changed,
        "groups": outcome.groups,
        "users": outcome.users,
        "directories": outcome.directories,
        "files": outcome.files,
        "removed": outcome.removed,
    }
    if module._diff:
        result["diff"] = outcome.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()

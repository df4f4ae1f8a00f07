"""Files on the host: what differs, the diff an operator may see, and the atomic write."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import write_atomic
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import FileRecord
from ansible_collections.aimesh.mesh.plugins.module_utils.ownership import Ownership, describe, resolve_ownership
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

DIFF_LIMIT = 256 * 1024
VALIDATE_TIMEOUT_S = 60.0

FILE_OPTIONS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "secret_content": {"type": "str", "no_log": True},
    "sensitive": {"type": "bool", "default": False},
    "owner": {"type": "str", "default": ""},
    "group": {"type": "str", "default": ""},
    "mode": {"type": "str", "default": "0644"},
    "validate": {"type": "list", "elements": "str", "default": []},
}


@dataclass(frozen=True)
class WantedFile:
    """`content` is None when it is not known yet (check mode, a secret that does not exist)."""

    path: str
    content: bytes | None
    sensitive: bool
    ownership: Ownership
    validate: tuple[str, ...]

    def record(self) -> FileRecord:
        digest = None if self.sensitive or self.content is None else hashlib.sha256(self.content).hexdigest()
        own = self.ownership
        return FileRecord(owner=own.owner, group=own.group, mode=f"{own.mode:04o}", digest=digest)


@dataclass(frozen=True)
class FileChange:
    """What differs about one file: `content`, `owner`, `group`, `mode`; or `absent` when it is to be made."""

    path: str
    what: tuple[str, ...]
    diff: dict[str, str] = field(default_factory=dict)

    @property
    def rewrites(self) -> bool:
        return "content" in self.what or "absent" in self.what


def wanted_file(options: dict[str, Any], *, predict: bool) -> WantedFile:
    """From a module's suboptions. Raises HostChangeError for an unknown owner, a bad mode or a relative path."""
    path = options["path"]
    if not path.startswith("/"):
        raise HostChangeError(f"The file path {path} is not absolute.")
    content = _content(path, options)
    if content is None and not predict:
        raise HostChangeError(f"The file {path} came without content; its secrets were not resolved.")
    return WantedFile(
        path=path,
        content=content,
        sensitive=options["sensitive"],
        ownership=resolve_ownership(path, options["owner"], options["group"], options["mode"], predict=predict),
        validate=tuple(options["validate"]),
    )


def hide_contents(module: AnsibleModule, rows: Iterable[dict[str, Any]]) -> None:
    """Ansible masks an option as it came; what the files hold is masked in all that the module says as well."""
    for row in rows:
        if row["secret_content"]:
            module.no_log_values.add((_content(row["path"], row | {"sensitive": True}) or b"").decode().strip())


def _content(path: str, options: dict[str, Any]) -> bytes | None:
    if not options["sensitive"]:
        return None if options["content"] is None else str(options["content"]).encode()
    if options["secret_content"] is None:
        return None
    try:
        return base64.b64decode(options["secret_content"], validate=True)
    except (binascii.Error, ValueError):
        raise HostChangeError(f"The content of the file {path} came damaged; it is not base64.") from None


def compare_file(wanted: WantedFile, *, was_sensitive: bool) -> FileChange | None:
    """What differs between the file on disk and the wanted one, or None. Raises HostChangeError for what is no file."""
    path = Path(wanted.path)
    hidden = wanted.sensitive or was_sensitive
    try:
        seen = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return FileChange(wanted.path, ("absent",), _content_diff(wanted, b"", hidden, "absent"))
    if stat.S_ISLNK(seen.st_mode):
        if wanted.sensitive:
            raise HostChangeError(
                f"{wanted.path} is a symbolic link; a file with secrets is never written over one, so remove the link."
            )
        return FileChange(wanted.path, ("content",), _content_diff(wanted, b"", hidden, "symbolic link"))
    if not stat.S_ISREG(seen.st_mode):
        raise HostChangeError(f"{wanted.path} exists and is no regular file; move it away and deploy again.")
    what = wanted.ownership.differences(seen)
    before = b"" if wanted.content is None else path.read_bytes()
    diff: dict[str, str] = {}
    if wanted.content is None or before != wanted.content:
        what.insert(0, "content")
        diff = _content_diff(wanted, before, hidden, describe(seen))
    elif what:
        diff = {
            "before_header": wanted.path,
            "after_header": wanted.path,
            "before": f"{describe(seen)}\n",
            "after": f"{_describe_wanted(wanted.ownership)}\n",
        }
    return FileChange(wanted.path, tuple(what), diff) if what else None


def _describe_wanted(own: Ownership) -> str:
    return f"{own.owner or '-'}:{own.group or '-'} {own.mode:04o}"


def _content_diff(wanted: WantedFile, before: bytes, hidden: bool, state: str) -> dict[str, str]:
    if hidden:
        verb = "is made" if state == "absent" else "changes"
        return {"prepared": f"{wanted.path}: {verb}; the content holds secrets and is not shown\n"}
    after = wanted.content or b""
    if len(before) + len(after) > DIFF_LIMIT:
        return {"prepared": f"{wanted.path}: changes; too large to show\n"}
    return {
        "before_header": f"{wanted.path} ({state})",
        "after_header": f"{wanted.path} ({_describe_wanted(wanted.ownership)})",
        "before": before.decode(errors="replace"),
        "after": after.decode(errors="replace"),
    }


def apply_file(wanted: WantedFile, change: FileChange) -> None:
    """Bring the file to its state. Raises HostChangeError when its validation refuses it, OSError from the system."""
    own = wanted.ownership
    if not change.rewrites:
        descriptor = os.open(wanted.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.fchown(descriptor, own.uid, own.gid)
            os.fchmod(descriptor, own.mode)
        finally:
            os.close(descriptor)
        return
    if wanted.content is None:
        raise HostChangeError(f"The file {wanted.path} came without content; its secrets were not resolved.")
    write_atomic(
        wanted.path,
        wanted.content,
        mode=own.mode,
        uid=own.uid,
        gid=own.gid,
        validate=(lambda candidate: _validate(wanted, candidate)) if wanted.validate else None,
    )


def _validate(wanted: WantedFile, candidate: str) -> None:
    command = [word.replace("{path}", candidate) for word in wanted.validate]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=VALIDATE_TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise HostChangeError(
            f"{wanted.path} cannot be checked before use: the program {command[0]} is missing on this host."
        ) from None
    except subprocess.TimeoutExpired:
        raise HostChangeError(
            f"{wanted.path} was not put in place: {command[0]} did not end within {VALIDATE_TIMEOUT_S:g} s."
        ) from None
    if done.returncode != 0:
        said = "its output is withheld because the file holds secrets"
        if not wanted.sensitive:
            lines = (done.stderr or done.stdout).strip().replace(candidate, wanted.path).splitlines()
            said = lines[-1] if lines else "it printed nothing"
        raise HostChangeError(
            f"{wanted.path} was not put in place, {command[0]} refuses the new content (exit {done.returncode}): {said}"
        )


def removal_diff(path: str, record: FileRecord) -> dict[str, str]:
    """The diff of a file that goes; only content that we recorded as free of secrets is shown."""
    try:
        before = Path(path).read_bytes()
    except OSError:
        before = b""
    if record.digest is None or len(before) > DIFF_LIMIT:
        return {"prepared": f"{path}: is removed\n"}
    return {
        "before_header": path,
        "after_header": f"{path} (absent)",
        "before": before.decode(errors="replace"),
        "after": "",
    }

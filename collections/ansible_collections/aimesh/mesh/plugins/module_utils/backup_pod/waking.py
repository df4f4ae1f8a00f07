"""A server that has just started closes no segment of WAL on time before its first checkpoint; here it gets one."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.live import ask
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec


class Waker:
    """Called every now and then; whoever started the server, it is seen by the file beside its socket."""

    def __init__(self, spec: BackupSpec) -> None:
        self._spec = spec
        self._file = Path(spec.socket_dir, f".s.PGSQL.{spec.port}.lock")
        self._woken = ""

    def __call__(self) -> None:
        try:
            server = self._file.read_text(encoding="utf-8")
        except OSError:
            return
        if not server or server == self._woken:
            return
        try:
            ask(self._spec, "CHECKPOINT", "The first checkpoint")
        except BackupError:
            # It takes no connections yet: the next look asks again.
            return
        self._woken = server

"""The container that makes backups, beside the database: its program is asked by commands through the API server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.backup_program import ProgramError, read_answer
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.streams import Ended, execute

POD, CONTAINER, PROGRAM = "postgresql-0", "backup", "aimesh-backup"
MAP = "backup"
"""ConfigMap with the program, its specification and its schedule; no part of the Helm release."""
RESUMED = "aimesh.io/resumed"
"""Annotation of the map: nothing made backups before it, and nobody has seen to that yet."""
RUN_S, ASK_S = 6 * 3600.0, 120.0
SEEN_S, PAUSE_S = 240.0, 3.0
"""The kubelet brings a changed ConfigMap within about a minute; a busy node takes longer."""
Execute = Callable[..., Ended]


@dataclass
class BackupPod:
    """Methods raise ClusterError where there is no way to the program, and ProgramError for what it complains of."""

    cluster: Cluster
    run: Execute = execute
    pause_s: float = PAUSE_S

    def ask(
        self, verb: str, *options: str, given: Mapping[str, Any] | None = None, timeout_s: float = ASK_S
    ) -> dict[str, Any]:
        """What the program says last. `given` goes through its standard input, as one line."""
        told = self.answer(verb, *options, given=given, timeout_s=timeout_s)
        if not told["ok"]:
            raise ProgramError(told["message"])
        return told

    def answer(
        self, verb: str, *options: str, given: Mapping[str, Any] | None = None, timeout_s: float = ASK_S
    ) -> dict[str, Any]:
        """The same, also when the program says that it failed."""
        line = f"{json.dumps(given)}\n" if given is not None else ""
        ended = self.run(self.cluster, POD, CONTAINER, [PROGRAM, verb, *options], timeout_s, line)
        if ended.code in (126, 127):
            raise ProgramError(f"There is no {PROGRAM} in {POD} yet; deploy the mesh first.")
        return read_answer(f"{PROGRAM} {verb} in {POD}", ended.code, ended.stdout, ended.stderr)

    def await_files(self, wanted: Mapping[str, str]) -> None:
        """Returns when the pod has the files with these digests."""
        deadline = time.monotonic() + SEEN_S
        while True:
            told = ""
            try:
                seen = self.ask("files")["files"]
            except (ClusterError, ProgramError) as error:
                told = f": {error}".rstrip(".")
            else:
                left = sorted(name for name, digest in wanted.items() if seen.get(name) != digest)
                if not left:
                    return
                told = f", of {', '.join(left)} it has other ones"
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"The pod {POD} does not see its configuration of backups after {SEEN_S:.0f} s{told}."
                )
            time.sleep(self.pause_s)

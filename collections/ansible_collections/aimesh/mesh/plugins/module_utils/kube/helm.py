"""The `helm` program: which version it is, and its verbs. It gets values on standard input and never waits itself.

The collection kubernetes.core has a module for Helm. It compares values and the chart's version only, so that it sees
neither a changed chart nor an object that was changed or deleted by hand, and its wait ends with a time limit instead
of a reason; hence this thin wrapper and `aimesh.mesh.k8s_rollout`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError

TAKEN = {3: (3, 18), 4: (4, 1)}
"""Major version → the oldest of it. Helm 4.0 forgets at an installation how it was told to apply (helm/helm#31635)."""
NEEDED = "3.18 or later of Helm 3, or 4.1 or later of Helm 4"
HISTORY_MAX = 10
CALL_S = 180
DEPLOYED, SUPERSEDED, PENDING = "deployed", "superseded", "pending-"
INSTALL = "install one (https://helm.sh/docs/intro/install/)"
_VERSION = re.compile(r"v?(\d+)\.(\d+)\b")
_CREDENTIAL = re.compile(r"(?i)(bearer |password[=:] ?|token[=:] ?)\S+")


class HelmError(ClusterError):
    """Helm did not do what was asked; the message is one sentence."""


@dataclass(frozen=True)
class Record:
    """What Helm keeps of a release: the newest revision, its status and its manifest."""

    revision: int
    status: str
    chart: str
    manifest: str
    values: dict[str, Any]
    description: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether an operation is under way, or died with its process."""
        return self.status.startswith(PENDING)


@dataclass(frozen=True)
class Helm:
    """Helm for one release. `cluster` is the option of that name of our modules."""

    cluster: Mapping[str, Any]
    release: str
    program: str = "helm"
    major: int = 3
    adopts: bool = False
    """Objects of the release that are there without Helm become its own."""

    def checked(self) -> Helm:
        """The same, told which major version the program is. Raises HelmError as `require_version` does."""
        return replace(self, major=major_minor(self.require_version())[0])

    def require_version(self) -> str:
        """The version. Raises HelmError with one sentence when it is missing, too old, or newer than we know."""
        try:
            told = subprocess.run(
                [self.program, "version", "--template", "{{.Version}}"],
                capture_output=True,
                text=True,
                timeout=CALL_S,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except OSError:
            raise HelmError(
                f"The program {self.program} is not here, and the chart needs Helm, {NEEDED}; {INSTALL}."
            ) from None
        return check_version(told.stdout.strip() or told.stderr.strip())

    def record(self) -> Record | None:
        """The newest revision, None when there is no such release."""
        rows = self.history()
        if not rows:
            return None
        newest = max(rows, key=lambda row: int(row["revision"]))
        told = json.loads(self._run(["status", self.release, "--output", "json", *self._where()]))
        return Record(
            revision=int(newest["revision"]),
            status=str(newest["status"]),
            chart=str(newest["chart"]),
            manifest=str(told["manifest"]),
            values=told.get("config") or {},
            description=str(newest.get("description", "")),
        )

    def history(self) -> list[dict[str, Any]]:
        """Rows of Helm's history, oldest first; empty when there is no release."""
        try:
            told = self._run(["history", self.release, "--output", "json", "--max", str(HISTORY_MAX), *self._where()])
        except HelmError as error:
            if "not found" in str(error):
                return []
            raise
        rows: list[dict[str, Any]] = json.loads(told)
        return rows

    def rendered(self, chart: str, values: Mapping[str, Any]) -> str:
        """The manifest that an upgrade would bring, as this cluster makes it. Changes nothing."""
        told = self._run(["upgrade", *self._upgrade(chart), "--dry-run=server", "--output", "json"], values)
        return str(json.loads(told)["manifest"])

    def template(self, chart: str, values: Mapping[str, Any], kubernetes: str) -> str:
        """The manifest for a version of Kubernetes, without a release and without asking a cluster."""
        where = ["--namespace", str(self.cluster["namespace"]), "--no-hooks", "--values", "-"]
        where += ["--kube-version", kubernetes]
        return self._run(["template", self.release, chart, *where], values)

    def upgrade(self, chart: str, values: Mapping[str, Any], description: str) -> None:
        """Install or upgrade; returns when the objects are changed, which is not yet when they are available."""
        self._run(["upgrade", *self._upgrade(chart), "--description", description], values)

    def rollback(self, revision: int) -> None:
        """Make the objects those of an earlier revision again."""
        arguments = ["--history-max", str(HISTORY_MAX), *self._apply(), *self._where()]
        self._run(["rollback", self.release, str(revision), *arguments])

    def uninstall(self) -> bool:
        """Whether there was a release."""
        try:
            self._run(
                ["uninstall", self.release, "--cascade", "foreground", "--wait", "--timeout", "170s", *self._where()]
            )
        except HelmError as error:
            if "not found" in str(error):
                return False
            raise
        return True

    def _upgrade(self, chart: str) -> list[str]:
        adopted = ["--take-ownership"] if self.adopts else []
        kept = [*adopted, "--install", "--history-max", str(HISTORY_MAX), "--reset-values", "--values", "-"]
        return [self.release, chart, *kept, *self._apply(), *self._where()]

    def _apply(self) -> list[str]:
        """Helm 4 would refuse to take back a field that somebody has edited, on releases that it installed itself."""
        return ["--server-side=false"] if self.major >= 4 else []

    def _where(self) -> list[str]:
        flags = {"--kubeconfig": self.cluster.get("kubeconfig"), "--kube-context": self.cluster.get("context")}
        given = [word for flag, value in flags.items() if value for word in (flag, str(value))]
        return ["--namespace", str(self.cluster["namespace"]), *given]

    def _run(self, arguments: list[str], values: Mapping[str, Any] | None = None) -> str:
        # Neither the operator's repositories and plugins nor his caches are touched.
        with tempfile.TemporaryDirectory(prefix="aimesh-helm-") as home:
            places = {f"HELM_{name}_HOME": f"{home}/{name.lower()}" for name in ("CACHE", "CONFIG", "DATA")}
            try:
                ended = subprocess.run(
                    [self.program, *arguments],
                    input=json.dumps(values) if values is not None else "",
                    capture_output=True,
                    text=True,
                    timeout=CALL_S,
                    check=False,
                    env=os.environ | places,
                )
            except subprocess.TimeoutExpired:
                raise HelmError(f"helm {arguments[0]} did not end within {CALL_S} s.") from None
            except OSError as error:
                raise HelmError(f"The program {self.program} cannot be run ({error.strerror}); {INSTALL}.") from None
        if ended.returncode:
            raise HelmError(f"helm {arguments[0]} failed: {complaint(ended.stderr)}.")
        return ended.stdout


def check_version(told: str) -> str:
    """The version in what `helm version` printed. Raises HelmError for one that we do not take."""
    version = major_minor(told)
    if version < TAKEN.get(version[0], (version[0] + 1,)):
        raise HelmError(f"Helm is {told}, and this needs {NEEDED}; {INSTALL}.")
    return told


def major_minor(told: str) -> tuple[int, int]:
    """`v3.18.4` → (3, 18). Raises HelmError for what is no version."""
    found = _VERSION.search(told)
    if not found:
        raise HelmError(f"helm version told {told[:80]!r} instead of a version, and this needs {NEEDED}; {INSTALL}.")
    return int(found.group(1)), int(found.group(2))


def complaint(stderr: str) -> str:
    """What Helm complained of, in one line, without its warnings."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("WARNING", "W0", "W1", "level=WARN"))] or lines
    text = "; ".join(lines[-3:]).removeprefix("Error: ").rstrip(".")
    return _CREDENTIAL.sub(r"\1…", text) or "no reason given"

"""What a rollout is told of a host's slots and steps, and what a step saw."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.module_utils.host_files import WantedFile
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import Gate
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError


@dataclass(frozen=True)
class SlotSpec:
    """One slot as the module takes it; HAProxy itself and the migration are slots too."""

    unit: str
    server: str = ""
    """HAProxy's `backend/server`, empty for what is behind no edge."""
    fingerprint: str = ""
    files: tuple[WantedFile, ...] = ()
    gate: Gate | None = None
    """When it is ready; None: when it stays up."""
    stop_s: float = 30.0
    oneshot: bool = False
    spare: bool = False
    """It runs during a rollout only: to undo it is to take it away."""
    reload: bool = False
    """It takes a changed configuration by reload and is never stopped: HAProxy."""

    @property
    def paths(self) -> list[str]:
        return [file.path for file in self.files]

    def ready(self, release: str | None = None, timeout_s: float | None = None) -> Gate:
        """Its gate, on another release (empty: on any) or with another bound where given."""
        gate = self.gate or Gate(self.unit)
        return Gate(
            self.unit,
            url=gate.url,
            version=gate.version if release is None else release or None,
            tcp=gate.tcp,
            timeout_s=timeout_s if timeout_s is not None else gate.timeout_s,
        )


@dataclass(frozen=True)
class StepSpec:
    """One step as the module takes it: `plugin_utils/steps.py` says what actions and gates mean."""

    n: int
    action: str
    unit: str
    server: str = ""
    gate: str = "none"
    limit: str = ""
    timeout_s: float = 60.0
    last: bool = False
    """DRAIN: the service goes altogether, so no other server has to take its calls."""

    @property
    def gate_text(self) -> str:
        return f"{self.gate} {self.limit}".rstrip()


@dataclass(frozen=True)
class Seen:
    """What a step saw, in words, whether it changed anything, and how many sessions it left to be cut."""

    text: str
    changed: bool = True
    cut: int = 0


class GateError(HostChangeError):
    """A gate did not hold; `seen` is what was there instead."""

    def __init__(self, message: str, seen: str) -> None:
        super().__init__(message)
        self.seen = seen

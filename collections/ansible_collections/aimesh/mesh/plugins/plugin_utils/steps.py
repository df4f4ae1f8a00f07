"""The step list: how update, rollback and scale are told to a mesh, one reversible act after another.

A pure function (`plugin_utils/rollout/planner.py`) turns what is observed and the wanted plan into a list of steps.
Consecutive steps of one slot on one host are executed in one call of `aimesh.mesh.rollout`, which records each of them
in the state home.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    """What a step does to its unit.

    backup_point  on the data host: the database is dumped beside the state
    migrate       on the first app host: the one-shot unit of the wanted release runs to success
    edge          on an edge host: HAProxy's configuration is written and loaded without dropping a connection
    start         the slot's old files are saved, its new files written, its unit started
    enable        on an edge host: HAProxy may send new calls to the slot
    drain         on an edge host: no new calls; open ones may end for `timeout_s` seconds, what is left then is ended
                  by the stop that follows and is counted in what the step saw
    stop          the unit is stopped
    soak          the unit stays ready without a restart for the gate's seconds
    remove        the slot's files and records go; its unit does not start again with the host
    """

    BACKUP_POINT = "backup_point"
    MIGRATE = "migrate"
    EDGE = "edge"
    DRAIN = "drain"
    STOP = "stop"
    START = "start"
    ENABLE = "enable"
    SOAK = "soak"
    REMOVE = "remove"


class GateKind(StrEnum):
    """What has to hold before the next step. The name carries the unit of `limit`."""

    SESSIONS_AT_MOST = "sessions_at_most"
    """DRAIN: sessions that HAProxy still has with the server."""
    READY_ON_RELEASE = "ready_on_release"
    """START: `/health/ready` is 200 and its `version` is the release id in `limit`."""
    OTHER_SLOT_READY = "other_slot_ready"
    """DRAIN of one of several replicas is preceded by it: another server of the backend is UP and takes calls."""
    EDGE_SEES_UP = "edge_sees_up"
    """ENABLE: the server is UP in HAProxy's eyes."""
    CONFIG_LOADED = "config_loaded"
    """EDGE: HAProxy's new worker has the configuration; `limit` is the SHA-256 of the file."""
    SCHEMA_AT_LEAST = "schema_at_least"
    """MIGRATE: level of the database's schema."""
    STEADY_SECONDS = "steady_seconds"
    """SOAK: seconds without a restart and without an answer other than ready."""
    NONE = "none"


UNITS_OF_LIMITS = {
    GateKind.SESSIONS_AT_MOST: "sessions",
    GateKind.READY_ON_RELEASE: "release",
    GateKind.OTHER_SLOT_READY: "server",
    GateKind.EDGE_SEES_UP: "server",
    GateKind.CONFIG_LOADED: "sha256",
    GateKind.SCHEMA_AT_LEAST: "schema level",
    GateKind.STEADY_SECONDS: "s",
    GateKind.NONE: "",
}


@dataclass(frozen=True)
class Gate:
    kind: GateKind
    limit: int | str | None = None

    @property
    def text(self) -> str:
        """`steady_seconds 15 s`, `ready_on_release 1.1.0+89abcdef`, `none`."""
        if self.limit is None:
            return str(self.kind)
        unit = UNITS_OF_LIMITS[self.kind]
        return f"{self.kind} {self.limit}" + (f" {unit}" if isinstance(self.limit, int) else "")


@dataclass(frozen=True)
class Step:
    """Step `n` (from 1) does `action` to `unit` on `host`, then waits for `gate` at most `timeout_s` seconds.

    `slot` is the unit whose replacement the step belongs to: steps of one slot are undone together. `server` is
    HAProxy's `backend/server` of the slot, empty for what is behind no edge.
    """

    n: int
    host: str
    unit: str
    action: Action
    gate: Gate
    timeout_s: float
    server: str = ""
    slot: str = ""
    last: bool = False
    """DRAIN: nobody else has to take the slot's calls."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


GATES: dict[Action, tuple[GateKind, str]] = {
    Action.DRAIN: (GateKind.SESSIONS_AT_MOST, "drains {unit} without waiting for its sessions to end"),
    Action.START: (GateKind.READY_ON_RELEASE, "starts {unit} without waiting for readiness on a named release"),
    Action.ENABLE: (GateKind.EDGE_SEES_UP, "enables {unit} without waiting for the edge to see it up"),
    Action.SOAK: (GateKind.STEADY_SECONDS, "soaks {unit} without a number of seconds"),
    Action.MIGRATE: (GateKind.SCHEMA_AT_LEAST, "migrates without asking for a level of the schema"),
    Action.EDGE: (GateKind.CONFIG_LOADED, "reloads {unit} without waiting for its new configuration"),
}


def check_steps(steps: list[Step]) -> list[str]:
    """Every rule that a list breaks, one sentence each; an empty list means that it can be executed and resumed."""
    errors = []
    for position, step in enumerate(steps, start=1):
        if step.n != position:
            errors.append(f"step at position {position} has n={step.n}: steps are numbered from 1 without a gap.")
        if step.timeout_s <= 0:
            errors.append(f"step {step.n} has timeout_s={step.timeout_s}: a step needs a bound above 0 seconds.")
        wanted, sentence = GATES.get(step.action, (None, ""))
        if wanted and step.gate.kind is not wanted:
            errors.append(f"step {step.n} {sentence.format(unit=step.unit)}.")
        if step.action in (Action.DRAIN, Action.ENABLE) and not step.server:
            errors.append(f"step {step.n} wants to {step.action} {step.unit} and names no server of HAProxy.")
    return (
        errors
        + [f"{unit} is drained and neither enabled again nor removed." for unit in _stranded(steps)]
        + [
            f"step {step.n} reloads {step.unit} while {', '.join(sorted(drained))} is drained."
            for step, drained in _lost(steps)
        ]
    )


def _stranded(steps: list[Step]) -> list[str]:
    """Units that stay drained at the end."""
    left: set[str] = set()
    for step in steps:
        if step.action is Action.DRAIN:
            left.add(step.unit)
        if step.action in (Action.ENABLE, Action.REMOVE):
            left.discard(step.unit)
    return sorted(left)


def _lost(steps: list[Step]) -> list[tuple[Step, set[str]]]:
    """Reloads of HAProxy, which forgets who is drained, while someone is."""
    drained: set[str] = set()
    found = []
    for step in steps:
        if step.action is Action.DRAIN:
            drained.add(step.unit)
        if step.action in (Action.ENABLE, Action.REMOVE):
            drained.discard(step.unit)
        if step.action is Action.EDGE and drained:
            found.append((step, set(drained)))
    return found

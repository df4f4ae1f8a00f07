"""A mesh in memory on which a rollout's steps do what `module_utils/slot_steps.py` makes them do on hosts.

It looks after every act whether somebody lost a call, so that a planner that takes away too much is caught.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.observation import Observed
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.planner import Group
from ansible_collections.aimesh.mesh.plugins.plugin_utils.steps import Action, Step

MIGRATION_UNIT = "aimesh-migrate"
HAPROXY = "aimesh-haproxy"
Place = tuple[str, str]
"""Host and unit."""


class CallLostError(AssertionError):
    """Somebody's call had nowhere to go, or was cut."""


class GateFailedError(Exception):
    """A gate did not hold; the run stops here."""


@dataclass(frozen=True)
class Unit:
    running: bool = False
    ready: bool = False
    loaded: str = ""
    """Fingerprint of what the files say."""
    recorded: str | None = None


@dataclass
class Mesh:
    """Units by place, admin states by edge and server, and what each configuration lists."""

    edges: dict[str, dict[str, str]]
    configs: dict[str, str]
    """Edge → SHA-256 of the configuration file that it has."""
    contents: Mapping[str, Mapping[str, str]]
    """SHA-256 → server → the admin state that the configuration gives it."""
    fingerprints: dict[Place, str] = field(default_factory=dict)
    """What a start gives a unit: the plan that is rolled out."""
    units: dict[Place, Unit] = field(default_factory=dict)
    saves: dict[Place, Unit | None] = field(default_factory=dict)
    loading: set[str] = field(default_factory=set)
    """Edges whose HAProxy has perhaps not loaded its file."""
    migrated: str | None = None
    backups: int = 0
    spares: frozenset[Place] = frozenset()
    broken: frozenset[str] = frozenset()
    """Fingerprints that never become ready."""
    shaky: frozenset[str] = frozenset()
    """Fingerprints that do, and crash within the soak."""
    served: set[tuple[str, str]] = field(default_factory=set)
    """Service and edge that have had a slot to go to."""

    def copy(self) -> Mesh:
        return replace(
            self,
            edges={edge: dict(servers) for edge, servers in self.edges.items()},
            configs=dict(self.configs),
            fingerprints=dict(self.fingerprints),
            units=dict(self.units),
            saves=dict(self.saves),
            loading=set(self.loading),
            served=set(),
        )

    def key(self) -> str:
        return repr(
            (
                sorted((edge, sorted(servers.items())) for edge, servers in self.edges.items()),
                sorted(self.configs.items()),
                sorted(self.loading),
                sorted(self.units.items()),
                sorted(self.saves.items(), key=lambda item: item[0]),
                self.migrated,
            )
        )

    def observed(self) -> Observed:
        """As `aimesh.mesh.rollout` with `verb: observe` tells it."""
        hosts: dict[str, dict[str, Any]] = {}
        for (host, name), unit in self.units.items():
            answer = hosts.setdefault(host, {"units": {}})
            ready = unit.ready if unit.running else None
            answer["units"][name] = {
                "present": True,
                "running": unit.running,
                "ready": ready,
                "recorded": unit.recorded,
                "saved": (host, name) in self.saves,
            }
        for host, name in self.saves:
            hosts.setdefault(host, {"units": {}})["units"].setdefault(name, {"present": False, "saved": True})
        for edge, servers in self.edges.items():
            answer = hosts.setdefault(edge, {"units": {}})
            answer["servers"] = {name: {"admin": admin} for name, admin in servers.items()}
            answer["haproxy_config_sha256"] = self.configs[edge]
            answer["units"][HAPROXY] = {"running": True, "saved": edge in self.loading}
        first = hosts.setdefault("vm1", {"units": {}})
        first["units"][MIGRATION_UNIT] = {"present": True, "running": False, "recorded": self.migrated}
        return Observed(hosts, tuple(self.edges))

    def names(self) -> frozenset[Place]:
        """Units that hosts speak of: those that are there, and those of which something is kept."""
        return frozenset({*self.units, *self.saves})

    def look(self) -> None:
        """Every service that could be called at an edge still can. Raises CallLostError."""
        for edge, servers in self.edges.items():
            now = {name.partition("/")[0] for name in servers if self._takes_calls(edge, name)}
            lost = sorted(service for service, at in self.served if at == edge and service not in now)
            if lost:
                raise CallLostError(f"no slot of {', '.join(lost)} takes calls at {edge}")
            self.served |= {(service, edge) for service in now}

    def run(self, groups: list[Group]) -> None:
        """A whole rollout. Raises GateFailedError, CallLostError."""
        self.look()
        for group in groups:
            for step in group.steps:
                self.execute(step)

    def execute(self, step: Step) -> None:
        for _ in self.acts(step):
            self.look()
        self.look()

    def acts(self, step: Step) -> Iterator[None]:
        """The step, act by act; a run may be cut off after each."""
        acts = {
            Action.BACKUP_POINT: self._backup_point,
            Action.MIGRATE: self._migrate,
            Action.EDGE: self._edge,
            Action.DRAIN: self._drain,
            Action.STOP: self._stop,
            Action.START: self._start,
            Action.ENABLE: self._enable,
            Action.SOAK: self._soak,
            Action.REMOVE: self._remove,
        }
        return acts[step.action](step)

    def undo(self, group: Group) -> None:
        """What `rollout_failed.yml` does when a step of the group failed; raises what the steps raise."""
        for step in group.undo_before:
            self.execute(step)
        for unit in group.undo_units:
            self._undo((group.host, unit))
            self.look()
        for step in group.undo_steps:
            self.execute(step)

    def _backup_point(self, _step: Step) -> Iterator[None]:
        self.backups += 1
        yield

    def _migrate(self, step: Step) -> Iterator[None]:
        self.migrated = None
        yield
        self.migrated = self.fingerprints[(step.host, step.unit)]

    def _edge(self, step: Step) -> Iterator[None]:
        before = self.edges[step.host]
        wanted = next(sha for sha in self.contents if sha[:12] == step.gate.limit)
        self.configs[step.host] = wanted
        self.loading.add(step.host)
        yield
        # The new worker begins with what the file says and is then told what the old one knew.
        self.edges[step.host] = dict(self.contents[wanted])
        yield
        for name in self.edges[step.host]:
            self.edges[step.host][name] = before.get(name, self.edges[step.host][name])
        self.loading.discard(step.host)

    def _drain(self, step: Step) -> Iterator[None]:
        servers = self.edges[step.host]
        admin = servers[step.server]
        if not step.last and admin != "maint":
            backend = step.server.partition("/")[0] + "/"
            others = [name for name in servers if name.startswith(backend) and name != step.server]
            if not any(self._takes_calls(step.host, name) for name in others):
                raise GateFailedError(f"no other server than {step.server} takes its calls at {step.host}")
        if admin != "maint":
            servers[step.server] = "drain"
            yield
        servers[step.server] = "maint"

    def _stop(self, step: Step) -> Iterator[None]:
        place = (step.host, step.unit)
        if place in self.units:
            self._save(place)
            self._kill(place)
        yield

    def _start(self, step: Step) -> Iterator[None]:
        place = (step.host, step.unit)
        unit, wanted = self.units.get(place, Unit()), self.fingerprints[place]
        if unit.running and unit.ready and unit.recorded == unit.loaded == wanted:
            return
        self._save(place)
        self.units[place] = replace(unit, recorded=None)
        self._kill(place)
        yield
        ready = wanted not in self.broken
        self.units[place] = Unit(True, ready, wanted)
        yield
        if not ready:
            raise GateFailedError(f"{step.unit} is not ready")
        self.units[place] = Unit(True, True, wanted, wanted)

    def _enable(self, step: Step) -> Iterator[None]:
        if step.server not in self.edges[step.host]:
            raise GateFailedError(f"HAProxy on {step.host} does not know {step.server}")
        self.edges[step.host][step.server] = "ready"
        if not self._takes_calls(step.host, step.server):
            raise GateFailedError(f"HAProxy on {step.host} does not see {step.server} up")
        yield

    def _soak(self, step: Step) -> Iterator[None]:
        place = (step.host, step.unit)
        unit = self.units.get(place, Unit())
        if not unit.ready or unit.loaded in self.shaky:
            raise GateFailedError(f"{step.unit} did not stay ready")
        self.saves.pop(place, None)
        yield

    def _remove(self, step: Step) -> Iterator[None]:
        self._take_away((step.host, step.unit))
        if step.server in self.edges.get(step.host, {}):
            self.edges[step.host][step.server] = "maint"
        yield

    def _undo(self, place: Place) -> None:
        host, unit = place
        if unit in (HAPROXY, MIGRATION_UNIT):
            return
        server = self._server(place)
        here = self.edges.get(host, {})
        saved = self.saves.get(place, Unit()) if place in self.saves else None
        if place in self.spares or (place in self.saves and self.saves[place] is None):
            if server in here:
                here[server] = "maint"
            self._take_away(place)
            return
        if saved is not None:
            self.units[place] = replace(saved, running=True, ready=saved.loaded not in self.broken)
            del self.saves[place]
        if self.units.get(place, Unit()).running and server in here:
            here[server] = "ready"

    def _take_away(self, place: Place) -> None:
        if place in self.units:
            self._kill(place)
            del self.units[place]
        self.saves.pop(place, None)

    def _save(self, place: Place) -> None:
        self.saves.setdefault(place, self.units.get(place))

    def _kill(self, place: Place) -> None:
        unit = self.units[place]
        server = self._server(place)
        cut = [edge for edge in self.edges if self._takes_calls(edge, server)]
        if cut:
            raise CallLostError(f"{place[1]} on {place[0]} is stopped while {', '.join(cut)} sends it calls")
        self.units[place] = replace(unit, running=False, ready=False)

    def _takes_calls(self, edge: str, server: str) -> bool:
        unit = self.units.get(place_of(server), Unit())
        return self.edges[edge].get(server) == "ready" and unit.running and unit.ready

    def _server(self, place: Place) -> str:
        service, _, slot = place[1].removeprefix("aimesh-").partition("@")
        return f"{service}/{place[0]}-{slot}"


@cache
def place_of(server: str) -> Place:
    """`registry/vm1-a` → host vm1 and its unit."""
    service, _, name = server.partition("/")
    host, _, slot = name.rpartition("-")
    return host, f"aimesh-{service}@{slot}"

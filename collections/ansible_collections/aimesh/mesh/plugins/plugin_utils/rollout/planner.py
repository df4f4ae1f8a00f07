"""The steps of a rollout: a pure function of what is observed and what is wanted.

It starts from what is there, not from what an earlier run meant to do, so that a run after an interrupted one goes on
and a rollback undoes half an update. At no moment does a step take away the only slot of a service that takes calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.observation import Observed, SlotView
from ansible_collections.aimesh.mesh.plugins.plugin_utils.steps import Action, Gate, GateKind, Step

BACKUP_S = 1800.0
MIGRATE_S = 900.0
EDGE_S = 60.0
STOP_MARGIN_S = 30.0
MIGRATION = "migration"
EDGE_SLOT = "edge"


@dataclass(frozen=True)
class WantedSlot:
    """One slot as the wanted plan has it, planned or spare, or one that is to go (`fingerprint` is empty then)."""

    unit: str
    service: str
    host: str
    server: str
    fingerprint: str
    drain_s: float
    instance: Mapping[str, Any] = field(hash=False)
    """The plan's instance, for the driver."""


@dataclass(frozen=True)
class WantedService:
    """A service's planned slots, its spare where it has one, and the slots that are to go."""

    name: str
    planned: tuple[WantedSlot, ...]
    spare: WantedSlot | None = None
    leaving: tuple[WantedSlot, ...] = ()


@dataclass(frozen=True)
class WantedEdge:
    """HAProxy on one edge host: its unit and the SHA-256 of the configuration that the plan gives it."""

    host: str
    unit: str
    config_sha256: str


@dataclass(frozen=True)
class WantedMigration:
    host: str
    unit: str
    fingerprint: str
    level: int


@dataclass(frozen=True)
class Wanted:
    """Where a rollout goes. `services` are in dependency order: what others call comes first."""

    release: str
    services: tuple[WantedService, ...]
    edges: tuple[WantedEdge, ...]
    migration: WantedMigration | None
    backup_host: str | None
    """The data host, when the database is dumped first."""
    soak_s: int
    ready_timeout_s: float


@dataclass(frozen=True)
class Group:
    """Steps that belong together, and what takes them back when one of them fails.

    `undo_units` are brought back on `host`; `undo_steps` follow.
    """

    title: str
    host: str
    steps: tuple[Step, ...]
    slots: tuple[WantedSlot, ...] = ()
    undo_before: tuple[Step, ...] = ()
    undo_units: tuple[str, ...] = ()
    undo_steps: tuple[Step, ...] = ()


def plan_groups(wanted: Wanted, observed: Observed) -> list[Group]:
    """The whole rollout, steps numbered from 1; empty when everything is as wanted."""
    maker = _Maker(wanted, observed)
    groups: list[Group] = []
    for service in wanted.services:
        groups += maker.raise_up(service)
    for service in wanted.services:
        groups += maker.leave_all(service)
    for service in wanted.services:
        groups += maker.add(service)
    groups += maker.edges()
    for service in wanted.services:
        groups += maker.enable_added(service)
    for service in wanted.services:
        groups += maker.replace(service)
    rolled = [group for group in groups if group.steps]
    if rolled or maker.migration_due():
        rolled = [*maker.before(), *rolled]
    return _numbered(rolled)


def dependency_order(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the services, each after those that it calls; the plan's own order where that leaves a choice."""
    ordered: list[str] = []

    def visit(name: str, above: frozenset[str]) -> None:
        if name in ordered or name in above:
            return
        for needed in services[name]["depends_on"]:
            if needed in services:
                visit(needed, above | {name})
        ordered.append(name)

    for name in services:
        visit(name, frozenset())
    return ordered


class _Maker:
    """Makes the groups; every method returns steps without numbers."""

    def __init__(self, wanted: Wanted, observed: Observed) -> None:
        self._wanted = wanted
        self._observed = observed
        self._edges = tuple(edge.host for edge in wanted.edges)
        self._everywhere = frozenset(self._edges)
        self._settled: set[WantedSlot] = set()

    def before(self) -> list[Group]:
        """The backup point and the migration come before the first slot is touched."""
        groups = []
        if self._wanted.backup_host:
            host = self._wanted.backup_host
            step = Step(0, host, "postgresql", Action.BACKUP_POINT, Gate(GateKind.NONE), BACKUP_S)
            groups.append(Group("backup point", host, (step,)))
        migration = self._wanted.migration
        if migration and self.migration_due():
            gate = Gate(GateKind.SCHEMA_AT_LEAST, migration.level)
            step = Step(0, migration.host, migration.unit, Action.MIGRATE, gate, MIGRATE_S, slot=MIGRATION)
            groups.append(Group("migration", migration.host, (step,), undo_units=(migration.unit,)))
        return groups

    def migration_due(self) -> bool:
        migration = self._wanted.migration
        return bool(migration and self._observed.recorded(migration.host, migration.unit) != migration.fingerprint)

    def edges(self) -> list[Group]:
        """HAProxy's configuration, where it is not what the plan says."""
        return [
            Group(f"edge on {edge.host}", edge.host, (self._edge(edge),), undo_units=(edge.unit,))
            for edge in self._wanted.edges
            if self._observed.config_sha256(edge.host) != edge.config_sha256
            or self._observed.is_saved(edge.host, edge.unit)
        ]

    def raise_up(self, service: WantedService) -> list[Group]:
        """Slots that an earlier run left down or out of rotation come first: whoever stood in for them may go next."""
        groups = []
        for slot in service.planned:
            view = self._view(slot)
            if view.known != self._everywhere:
                continue
            if self._is_wanted(slot, view):
                groups += self._confirmed(slot, view)
                self._settled.add(slot)
            elif view.serves:
                # One that will be replaced takes calls everywhere until then, so that others can go.
                groups += self._confirmed(slot, replace(view, saved=False))
            elif not (view.running and view.enabled):
                groups.append(self._started(slot, others=self._others_serve(service, slot)))
                self._settled.add(slot)
        return groups

    def leave_all(self, service: WantedService) -> list[Group]:
        """Slots that the plan no longer has are drained and taken away."""
        return [
            self._gone(slot, last=not service.planned or not self._view(slot).serves, title=f"{slot.unit} goes")
            for slot in service.leaving
            if self._view(slot).present or self._view(slot).saved
        ]

    def add(self, service: WantedService) -> list[Group]:
        """New slots start before the edge knows them."""
        return [
            Group(
                f"{slot.unit} is added",
                slot.host,
                (self._start(slot), self._soak(slot)),
                (slot,),
                undo_units=(slot.unit,),
            )
            for slot in self._added(service)
            if self._view(slot).saved or not self._is_wanted(slot, self._view(slot))
        ]

    def enable_added(self, service: WantedService) -> list[Group]:
        added = self._added(service)
        self._settled.update(added)
        return [self._enabled(slot) for slot in added]

    def replace(self, service: WantedService) -> list[Group]:
        """Every planned slot that is not as wanted."""
        if service.spare is not None and len(service.planned) == 1:
            return self._replace_one(service.planned[0], service.spare)
        return self._replace_many(service)

    def _replace_one(self, slot: WantedSlot, spare: WantedSlot) -> list[Group]:
        view, other = self._view(slot), self._view(spare)
        leave = [self._gone(spare)] if other.present or other.saved else []
        if self._is_settled(slot, view):
            return leave
        if not view.running or self._is_wanted(slot, view):
            return [*self._brought_up(slot, view), *leave]
        if other.serves and not view.ready and not self._is_wanted(spare, other):
            # The spare of an earlier rollout is the one that has the calls: it stays until the slot is back.
            stays = [] if other.enabled == self._everywhere else [self._enabled(spare)]
            return [*stays, self._swapped(slot, view), *leave]
        stale = other.present and not self._is_wanted(spare, other)
        surge = Group(
            f"{spare.unit} joins",
            spare.host,
            (self._start(spare), self._soak(spare), *self._enable(spare)),
            (spare,),
            undo_before=tuple(self._drain(spare, last=True, hosts=self._elsewhere(spare))),
            undo_units=(spare.unit,),
        )
        swap = self._swapped(slot, view)
        swap = replace(swap, slots=(slot, spare), undo_steps=(*swap.undo_steps, *self._leave(spare)))
        return [*([self._gone(spare, last=not other.serves)] if stale else []), surge, swap, self._gone(spare)]

    def _replace_many(self, service: WantedService) -> list[Group]:
        views = {slot: self._view(slot) for slot in service.planned}
        due = [slot for slot, view in views.items() if not self._is_settled(slot, view)]
        # One that is not ready goes first: the others do without it already.
        due.sort(key=lambda slot: views[slot].ready)
        return [group for slot in due for group in self._brought_up(slot, views[slot])]

    def _brought_up(self, slot: WantedSlot, view: SlotView) -> list[Group]:
        if self._is_wanted(slot, view):
            return self._confirmed(slot, view)
        return [self._swapped(slot, view) if view.running else self._started(slot, others=False)]

    def _swapped(self, slot: WantedSlot, view: SlotView) -> Group:
        """Drained, stopped and started anew; one that is not ready has no calls that others would have to take."""
        steps = (
            *self._drain(slot, last=not view.ready),
            self._stop(slot),
            self._start(slot),
            *self._enable(slot),
            self._soak(slot),
        )
        undo = tuple(self._enable(slot, self._elsewhere(slot)))
        return Group(f"{slot.unit} is replaced", slot.host, steps, (slot,), undo_units=(slot.unit,), undo_steps=undo)

    def _started(self, slot: WantedSlot, *, others: bool) -> Group:
        """A slot that takes no calls is brought up; with nobody else serving, calls come before the soak."""
        start, soak, enable = self._start(slot), self._soak(slot), self._enable(slot)
        group = Group(
            f"{slot.unit} is started",
            slot.host,
            (start, soak, *enable) if others else (start, *enable, soak),
            (slot,),
            undo_units=(slot.unit,),
        )
        if self._view(slot).present:
            return replace(group, undo_steps=tuple(self._enable(slot, self._elsewhere(slot))))
        return replace(group, undo_before=tuple(self._drain(slot, last=True, hosts=self._elsewhere(slot))))

    def _enabled(self, slot: WantedSlot) -> Group:
        return Group(f"{slot.unit} takes calls", slot.host, tuple(self._enable(slot)), (slot,))

    def _confirmed(self, slot: WantedSlot, view: SlotView) -> list[Group]:
        """What a slot that runs as planned lacks after a run that was cut off: calls, and its soak.

        Without the soak, what it was before would still be kept, and going back later would go too far.
        """
        soak = Group(f"{slot.unit} soaks", slot.host, (self._soak(slot),), (slot,), undo_units=(slot.unit,))
        return [
            *([] if view.enabled == self._everywhere else [self._enabled(slot)]),
            *([soak] if view.saved else []),
        ]

    def _gone(self, slot: WantedSlot, *, last: bool = False, title: str = "") -> Group:
        return Group(title or f"{slot.unit} leaves", slot.host, tuple(self._leave(slot, last=last)), (slot,))

    def _added(self, service: WantedService) -> list[WantedSlot]:
        """Planned slots that take no calls and that not every edge can be told to use before its configuration is."""
        views = {slot: self._view(slot) for slot in service.planned}
        return [slot for slot, view in views.items() if not view.enabled and view.known != self._everywhere]

    def _others_serve(self, service: WantedService, slot: WantedSlot) -> bool:
        every = [*service.planned, *service.leaving, *([service.spare] if service.spare else [])]
        return any(self._view(each).serves for each in every if each != slot)

    def _view(self, slot: WantedSlot) -> SlotView:
        return self._observed.slot(slot.host, slot.unit, slot.server)

    def _is_wanted(self, slot: WantedSlot, view: SlotView) -> bool:
        return view.running and view.ready and view.recorded == slot.fingerprint

    def _is_settled(self, slot: WantedSlot, view: SlotView) -> bool:
        """It is as wanted and takes calls, or is by now."""
        return slot in self._settled or (self._is_wanted(slot, view) and view.enabled == self._everywhere)

    def _elsewhere(self, slot: WantedSlot) -> tuple[str, ...]:
        return tuple(host for host in self._edges if host != slot.host)

    def _leave(self, slot: WantedSlot, *, last: bool = False) -> list[Step]:
        return [*self._drain(slot, last=last), self._stop(slot), *self._remove(slot)]

    def _drain(self, slot: WantedSlot, *, last: bool = False, hosts: Iterable[str] | None = None) -> list[Step]:
        gate = Gate(GateKind.SESSIONS_AT_MOST, 0)
        return [
            Step(0, host, slot.unit, Action.DRAIN, gate, slot.drain_s, slot.server, slot.unit, last=last)
            for host in (self._edges if hosts is None else hosts)
            if slot.fingerprint or host in self._view(slot).known
        ]

    def _enable(self, slot: WantedSlot, hosts: Iterable[str] | None = None) -> list[Step]:
        gate = Gate(GateKind.EDGE_SEES_UP, slot.server)
        return [
            Step(0, host, slot.unit, Action.ENABLE, gate, self._wanted.ready_timeout_s, slot.server, slot.unit)
            for host in (self._edges if hosts is None else hosts)
        ]

    def _start(self, slot: WantedSlot) -> Step:
        gate = Gate(GateKind.READY_ON_RELEASE, self._wanted.release)
        timeout = self._wanted.ready_timeout_s
        return Step(0, slot.host, slot.unit, Action.START, gate, timeout, slot.server, slot.unit)

    def _soak(self, slot: WantedSlot) -> Step:
        seconds = self._wanted.soak_s
        gate = Gate(GateKind.STEADY_SECONDS, seconds)
        return Step(0, slot.host, slot.unit, Action.SOAK, gate, seconds + 60.0, slot.server, slot.unit)

    def _stop(self, slot: WantedSlot) -> Step:
        bound = slot.drain_s + STOP_MARGIN_S
        return Step(0, slot.host, slot.unit, Action.STOP, Gate(GateKind.NONE), bound, slot.server, slot.unit)

    def _remove(self, slot: WantedSlot) -> list[Step]:
        bound = slot.drain_s + STOP_MARGIN_S
        return [Step(0, slot.host, slot.unit, Action.REMOVE, Gate(GateKind.NONE), bound, slot.server, slot.unit)]

    def _edge(self, edge: WantedEdge) -> Step:
        gate = Gate(GateKind.CONFIG_LOADED, edge.config_sha256[:12])
        return Step(0, edge.host, edge.unit, Action.EDGE, gate, EDGE_S, slot=EDGE_SLOT)


def _numbered(groups: Sequence[Group]) -> list[Group]:
    numbered, n = [], 0
    for group in groups:
        steps = tuple(replace(step, n=n + offset) for offset, step in enumerate(group.steps, start=1))
        n += len(steps)
        numbered.append(replace(group, steps=steps))
    return numbered

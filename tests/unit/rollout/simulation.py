"""A mesh that executes steps as hosts do, and tells after each of them who could have been served."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.observation import Observed
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.planner import (
    Group,
    Wanted,
    WantedEdge,
    WantedMigration,
    WantedService,
    WantedSlot,
    plan_groups,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.steps import Action, Step

LETTERS = "abcdefgh"
SERVICES = ("registry", "api-gateway")
"""In dependency order."""


@dataclass
class Running:
    """One slot on its host. `recorded` is None while nobody knows what it has loaded."""

    running: bool = True
    recorded: str | None = None


@dataclass
class Mesh:
    """Slots by host and unit, HAProxy's servers by edge (`True`: takes calls) and its configuration, the schema."""

    edges: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    slots: dict[tuple[str, str], Running] = field(default_factory=dict)
    servers: dict[str, dict[str, bool]] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    migrated: str = ""
    saved: dict[tuple[str, str], Running | None] = field(default_factory=dict)
    backups: int = 0

    def serving(self, service: str, edge: str) -> list[str]:
        """Units of a service that the edge sends calls to and that would answer."""
        return [
            server
            for server, takes in self.servers[edge].items()
            if takes and server.startswith(f"{service}/") and self._runs(server)
        ]

    def outages(self) -> list[str]:
        return [
            f"{service} at {edge}" for service in SERVICES for edge in self.edges if not self.serving(service, edge)
        ]

    def observed(self) -> Observed:
        """What the hosts would say."""
        hosts: dict[str, dict[str, Any]] = {
            host: {"units": {}, "servers": {}, "haproxy_config_sha256": self.config.get(host)}
            for host in {*self.hosts, *self.edges}
        }
        for (host, unit), slot in self.slots.items():
            hosts[host]["units"][unit] = {
                "present": True, "running": slot.running, "ready": slot.running or None, "recorded": slot.recorded,
                "saved": (host, unit) in self.saved,
            }  # fmt: skip
        hosts[self.edges[0]]["units"]["migrate"] = {"running": False, "recorded": self.migrated}
        for edge, servers in self.servers.items():
            hosts[edge]["servers"] = {
                server: {"admin": "ready" if takes else "maint", "status": "UP", "sessions": 0}
                for server, takes in servers.items()
            }
        return Observed(hosts, self.edges)

    def execute(self, step: Step, wanted: Wanted) -> None:
        """One step as its host does it. Raises AssertionError for a gate that would not hold."""
        getattr(self, f"_{step.action.value}")(step, wanted)

    def undo(self, unit: str, host: str) -> None:
        """What a host does to bring a slot back."""
        key = (host, unit)
        if key in self.saved:
            before = self.saved.pop(key)
            if before is None:
                self.slots.pop(key, None)
                self._admin(key, takes=False)
                return
            self.slots[key] = copy.copy(before)
            self.slots[key].running = True
        if key in self.slots and self.slots[key].running:
            self._admin(key, takes=True)

    def _admin(self, key: tuple[str, str], *, takes: bool) -> None:
        """Only the edge of the slot's own host."""
        for server in self.servers.get(key[0], {}):
            if slot_of(server) == key:
                self.servers[key[0]][server] = takes

    def _runs(self, server: str) -> bool:
        slot = self.slots.get(slot_of(server))
        return slot is not None and slot.running

    def save(self, key: tuple[str, str]) -> None:
        self.saved.setdefault(key, copy.copy(self.slots.get(key)))

    def _backup_point(self, _step: Step, _wanted: Wanted) -> None:
        self.backups += 1

    def _migrate(self, _step: Step, wanted: Wanted) -> None:
        assert wanted.migration
        self.migrated = wanted.migration.fingerprint

    def _edge(self, step: Step, wanted: Wanted) -> None:
        self.servers[step.host] = servers_of(wanted)
        self.config[step.host] = next(edge.config_sha256 for edge in wanted.edges if edge.host == step.host)

    def _start(self, step: Step, wanted: Wanted) -> None:
        key = (step.host, step.unit)
        self.save(key)
        slots = [slot for service in wanted.services for slot in (*service.planned, service.spare) if slot]
        self.slots[key] = Running(True, next(slot.fingerprint for slot in slots if (slot.host, slot.unit) == key))

    def _stop(self, step: Step, _wanted: Wanted) -> None:
        key = (step.host, step.unit)
        if key in self.slots:
            self.save(key)
            self.slots[key].running = False

    def _enable(self, step: Step, _wanted: Wanted) -> None:
        assert step.server in self.servers[step.host], f"{step.host} does not know {step.server}"
        assert self._runs(step.server), f"{step.server} is not up"
        self.servers[step.host][step.server] = True

    def _drain(self, step: Step, _wanted: Wanted) -> None:
        others = [server for server in self.serving(step.server.split("/")[0], step.host) if server != step.server]
        assert step.last or others, f"nobody else than {step.server} serves at {step.host}"
        assert step.server in self.servers[step.host], f"{step.host} does not know {step.server}"
        self.servers[step.host][step.server] = False

    def _soak(self, step: Step, _wanted: Wanted) -> None:
        assert self.slots[step.host, step.unit].running
        self.saved.pop((step.host, step.unit), None)

    def _remove(self, step: Step, _wanted: Wanted) -> None:
        self.slots.pop((step.host, step.unit), None)
        self.saved.pop((step.host, step.unit), None)


def slot_of(server: str) -> tuple[str, str]:
    """Host and unit of HAProxy's `registry/vm1-b`."""
    service, _, name = server.partition("/")
    host, _, letter = name.rpartition("-")
    return host, f"aimesh-{service}@{letter}"


def servers_of(wanted: Wanted) -> dict[str, bool]:
    """The servers of HAProxy's configuration: planned ones take calls, spares are disabled."""
    found = {slot.server: True for service in wanted.services for slot in service.planned}
    return found | {service.spare.server: False for service in wanted.services if service.spare}


def wanted_mesh(
    release: str, replicas: int, apps: tuple[str, ...], edges: tuple[str, ...], leaving: Iterable[WantedSlot] = ()
) -> Wanted:
    """A mesh of two services; the fingerprint of a slot is its release."""

    def slot(service: str, number: int) -> WantedSlot:
        letter, host = LETTERS[number], apps[number % len(apps)]
        instance = {"id": f"{service}@{letter}", "service": service, "host": host, "slot": letter}
        return WantedSlot(
            f"aimesh-{service}@{letter}", service, host, f"{service}/{host}-{letter}", release, 10.0, instance
        )

    services = tuple(
        WantedService(
            name,
            tuple(slot(name, number) for number in range(replicas)),
            # A spare is beside the only replica.
            WantedSlot(**vars(slot(name, 1)) | {"host": apps[0], "server": f"{name}/{apps[0]}-b"})
            if replicas == 1
            else None,
            tuple(each for each in leaving if each.service == name),
        )
        for name in SERVICES
    )
    config = f"config of {replicas} on {apps}"
    return Wanted(
        release=release,
        services=services,
        edges=tuple(WantedEdge(host, "aimesh-haproxy", config) for host in edges),
        migration=WantedMigration(edges[0], "migrate", release, 1),
        backup_host=None,
        soak_s=15,
        ready_timeout_s=120.0,
    )


def deployed(wanted: Wanted, hosts: Iterable[str] = ()) -> Mesh:
    """The mesh after a deploy of `wanted`; `hosts` are others that may get slots."""
    mesh = Mesh(tuple(edge.host for edge in wanted.edges), migrated=wanted.release)
    slots = [slot for service in wanted.services for slot in service.planned]
    mesh.slots = {(slot.host, slot.unit): Running(True, slot.fingerprint) for slot in slots}
    mesh.hosts = tuple({*(slot.host for slot in slots), *hosts})
    for edge in wanted.edges:
        mesh.servers[edge.host] = servers_of(wanted)
        mesh.config[edge.host] = edge.config_sha256
    return mesh


def steps_of(groups: Iterable[Group]) -> list[Step]:
    return [step for group in groups for step in group.steps]


def roll(mesh: Mesh, wanted: Wanted, stop_before: int | None = None) -> list[Step]:
    """Roll to the end, or to the step before number `stop_before`; nobody may be without service meanwhile."""
    steps = steps_of(plan_groups(wanted, mesh.observed()))
    served = not mesh.outages()
    for step in steps:
        if step.n == stop_before:
            break
        mesh.execute(step, wanted)
        if served:
            assert mesh.outages() == [], f"after step {step.n}, {step.action} {step.unit} on {step.host}"
        served = not mesh.outages()
    return steps


def half_done(mesh: Mesh, step: Step) -> list[Mesh]:
    """What a kill in the middle of a step may leave behind."""
    left, key = [], (step.host, step.unit)
    if step.action is Action.START:
        found = [Running(False), Running(True)]
    elif step.action is Action.STOP and key in mesh.slots:
        found = [Running(False, mesh.slots[key].recorded)]
    else:
        found = []
    for slot in found:
        other = copy.deepcopy(mesh)
        other.save(key)
        other.slots[key] = slot
        left.append(other)
    return left


def is_as(mesh: Mesh, wanted: Wanted) -> list[str]:
    """What differs from a deploy of `wanted`; empty when the mesh is as wanted."""
    ideal = deployed(wanted)
    wrong = [key[1] for key in {*mesh.slots, *ideal.slots} if mesh.slots.get(key) != ideal.slots.get(key)]
    wrong += [edge for edge in mesh.edges if mesh.config[edge] != ideal.config[edge]]
    wrong += [f"servers of {edge}" for edge in mesh.edges if mesh.servers[edge] != ideal.servers[edge]]
    wrong += [f"what {unit} was before is kept" for _, unit in mesh.saved]
    return sorted(wrong) + (["schema"] if mesh.migrated != ideal.migrated else [])

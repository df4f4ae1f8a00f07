"""What hosts said of their slots and of HAProxy, in the questions that the planner has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Answer = Mapping[str, Any]
"""What `aimesh.mesh.rollout` with `verb: observe` returns on one host."""


@dataclass(frozen=True)
class SlotView:
    """One slot as it is seen. `enabled` and `known` name the edge hosts whose HAProxy sends it calls, or knows it."""

    present: bool = False
    running: bool = False
    ready: bool = False
    recorded: str | None = None
    saved: bool = False
    """What it was before is still kept: it has been replaced and has not soaked."""
    enabled: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()

    @property
    def serves(self) -> bool:
        """It takes calls at one edge at least."""
        return self.running and self.ready and bool(self.enabled)


@dataclass(frozen=True)
class Observed:
    """Everything that is known before a step list is made."""

    hosts: Mapping[str, Answer]
    edges: tuple[str, ...]
    """Hosts with HAProxy, in the plan's order."""

    def slot(self, host: str, unit: str, server: str) -> SlotView:
        """A slot on its host and at every edge; nothing is known of a unit that no host speaks of."""
        seen = self.hosts.get(host, {}).get("units", {}).get(unit, {})
        at_edges = {edge: self.hosts.get(edge, {}).get("servers", {}).get(server) for edge in self.edges}
        running = bool(seen.get("running"))
        return SlotView(
            present=bool(seen.get("present", running)),
            running=running,
            ready=running and seen.get("ready") is not False,
            recorded=seen.get("recorded"),
            saved=bool(seen.get("saved")),
            enabled=frozenset(edge for edge, found in at_edges.items() if found and found["admin"] == "ready"),
            known=frozenset(edge for edge, found in at_edges.items() if found),
        )

    def recorded(self, host: str, unit: str) -> str | None:
        """Fingerprint of a unit at its last readiness."""
        found: str | None = self.hosts.get(host, {}).get("units", {}).get(unit, {}).get("recorded")
        return found

    def is_saved(self, host: str, unit: str) -> bool:
        """Whether an earlier run began to change the unit and did not see the end of it."""
        return bool(self.hosts.get(host, {}).get("units", {}).get(unit, {}).get("saved"))

    def config_sha256(self, edge: str) -> str | None:
        """SHA-256 of the file, which HAProxy need not have loaded while its unit is saved."""
        found: str | None = self.hosts.get(edge, {}).get("haproxy_config_sha256")
        return found

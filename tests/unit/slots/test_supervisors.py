from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SystemdSlots, supervisor_of
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError
from ansible_collections.aimesh.mesh.plugins.module_utils.systemd import UnitState


@dataclass
class FakeSystemd:
    seen: UnitState
    asked: list[str] = field(default_factory=list)

    def show(self, names: list[str]) -> dict[str, UnitState]:
        return dict.fromkeys(names, self.seen)

    def enable(self, _names: list[str]) -> None:
        self.asked.append("enable")

    def disable(self, _names: list[str]) -> None:
        self.asked.append("disable")

    def reset_failed(self, _names: list[str]) -> None:
        self.asked.append("reset-failed")

    def start(self, _names: list[str]) -> str:
        self.asked.append("start")
        return ""

    def stop(self, _names: list[str]) -> None:
        self.asked.append("stop")
        self.seen = replace(self.seen, active="failed", result="timeout")


def systemd(state: UnitState) -> tuple[Any, FakeSystemd]:
    fake = FakeSystemd(state)

    given: Any = fake
    slots: Any = SystemdSlots(given)
    return slots, fake


def test_a_unit_is_enabled_and_its_failures_are_forgotten_before_it_starts() -> None:
    slots, fake = systemd(UnitState("u", "loaded", "failed", "failed", "disabled"))
    slots.start("u")
    assert fake.asked == ["enable", "reset-failed", "start"]


def test_a_unit_without_a_file_is_a_sentence() -> None:
    slots, _ = systemd(UnitState("u"))
    with pytest.raises(HostChangeError, match="systemd cannot load u: its file is missing or wrong"):
        slots.start("u")


def test_a_unit_that_systemd_had_to_kill_is_told_of() -> None:
    slots, fake = systemd(UnitState("u", "loaded", "active", "running", pid=3))
    assert slots.stop("u", 5.0) == "killed at its deadline"
    slots.discard("u")
    assert fake.asked == ["stop", "reset-failed", "disable"]


def test_a_unit_that_waits_for_its_next_start_is_stopped_too() -> None:
    slots, fake = systemd(UnitState("u", "loaded", "activating", "auto-restart", restarts=3))
    slots.stop("u", 5.0)
    assert fake.asked == ["stop"]


def test_only_the_two_supervisors_are_known() -> None:
    assert isinstance(supervisor_of("systemd", {}), SystemdSlots)
    with pytest.raises(HostChangeError, match="There is no supervisor runit"):
        supervisor_of("runit", {})

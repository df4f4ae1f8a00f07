"""The unit of the fault is started again, whatever becomes of the run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.fault import Fault
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.hops import FAULT, DrillStoppedError
from receiver_process import free_port

from tests.unit.drill.rehearsal import UNIT, Exporter, wait_until


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    made = Exporter(free_port(), tmp_path / "pid")
    made.start(UNIT)
    yield made
    made.stop(UNIT, 0)


@pytest.fixture
def fault(exporter: Exporter, tmp_path: Path) -> Fault:
    return Fault(UNIT, ("127.0.0.1", exporter.port), tmp_path / "drills" / "fault.json")


def test_a_unit_is_stopped_and_started_again_once(fault: Fault, exporter: Exporter) -> None:
    assert fault.begin(exporter, 60) == pytest.approx(time.time(), abs=2)
    assert not exporter.state(UNIT).running
    assert fault.record.exists()
    assert fault.end(exporter, 10) == pytest.approx(time.time(), abs=2)
    assert exporter.state(UNIT).running
    assert list(fault.record.parent.iterdir()) == []
    assert fault.end(exporter, 10) is None


def test_a_unit_that_nobody_starts_again_starts_itself_after_its_time(fault: Fault, exporter: Exporter) -> None:
    fault.begin(exporter, 1.0)
    assert not exporter.state(UNIT).running
    wait_until(lambda: exporter.state(UNIT).running, 10, "the unit stayed down")
    wait_until(lambda: not fault.record.exists(), 5, "the fault stayed on record")
    # The run that comes back finds nothing to mend.
    assert fault.end(exporter, 10) is None


def test_a_unit_that_is_down_already_is_no_fault_of_ours(fault: Fault, exporter: Exporter) -> None:
    exporter.stop(UNIT, 0)
    with pytest.raises(DrillStoppedError, match=r"is inactive \(dead\) already, so the mesh is not healthy") as raised:
        fault.begin(exporter, 60)
    assert raised.value.hop == FAULT
    assert fault.end(exporter, 10) is None


def test_a_unit_that_does_not_come_back_is_named_with_its_log(fault: Fault, exporter: Exporter) -> None:
    fault.begin(exporter, 60)
    elsewhere = Fault(UNIT, ("127.0.0.1", free_port()), fault.record)
    with pytest.raises(DrillStoppedError, match=r"does not listen after 0.5 s .*a deploy repairs it.*journalctl -u"):
        elsewhere.end(exporter, 0.5)
    assert fault.end(exporter, 10) is not None

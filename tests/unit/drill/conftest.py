"""One rehearsal for all tests of the folder, each of which leaves the exporter running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.alert_drill.pair import Pair

from tests.unit.drill.rehearsal import UNIT, Rehearsal, rehearsal


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path_factory.mktemp("drill")) as made:
        yield made


@pytest.fixture
def stage(shared: Rehearsal) -> Rehearsal:
    shared.exporter.start(UNIT)
    return shared


@pytest.fixture
def pair(stage: Rehearsal) -> Iterator[Pair]:
    made = Pair(stage.folder / "state" / "drills", stage.folder / "scratch")
    yield made
    made.end()

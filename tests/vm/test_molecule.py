"""`molecule test` of every scenario that the merge gate has time for."""

from __future__ import annotations

import molecule_runs
import pytest


@pytest.mark.parametrize("scenario", [name for name in molecule_runs.SCENARIOS if name not in molecule_runs.DISASTERS])
def test_molecule_test_passes(scenario: str) -> None:
    molecule_runs.passes(scenario)

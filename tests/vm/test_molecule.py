"""`molecule test` of every scenario, as a developer runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.testbed import playbook
from tests.testbed.paths import REPOSITORY

SCENARIOS = sorted(path.parent.name for path in (REPOSITORY / "molecule").glob("*/molecule.yml"))
CONFIG = REPOSITORY / ".config/molecule/config.yml"


def steps_of(scenario: str) -> int:
    """How many steps its test has: its own ones, else those that every scenario shares."""
    read = [yaml.safe_load(path.read_text()) for path in (REPOSITORY / f"molecule/{scenario}/molecule.yml", CONFIG)]
    return len(next(each["scenario"]["test_sequence"] for each in read if "scenario" in each))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_molecule_test_passes(scenario: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "molecule"), "test", "--scenario-name", scenario],
        cwd=REPOSITORY, env=playbook.environment({"NO_COLOR": "1"}), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    recap = done.stdout[done.stdout.rindex("SCENARIO RECAP") :]
    assert "missing=0" in recap, recap
    assert f"successful={steps_of(scenario)}" in recap, recap

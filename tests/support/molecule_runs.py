"""`molecule test` of a scenario, as a developer runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from tests.testbed import playbook
from tests.testbed.paths import REPOSITORY

CONFIG = REPOSITORY / ".config/molecule/config.yml"
DISASTERS = ("dr", "dr-debian-12")
"""Too long for the merge gate."""
SCENARIOS = sorted(path.parent.name for path in (REPOSITORY / "molecule").glob("*/molecule.yml"))


def steps_of(scenario: str) -> int:
    """How many steps its test has: its own ones, else those that every scenario shares."""
    read = [yaml.safe_load(path.read_text()) for path in (REPOSITORY / f"molecule/{scenario}/molecule.yml", CONFIG)]
    return len(next(each["scenario"]["test_sequence"] for each in read if "scenario" in each))


def passes(scenario: str) -> str:
    """Run the scenario's test, every step of which has to succeed; returns its output."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "molecule"), "test", "--scenario-name", scenario],
        cwd=REPOSITORY, env=playbook.environment({"NO_COLOR": "1"}), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    recap = done.stdout[done.stdout.rindex("SCENARIO RECAP") :]
    assert "missing=0" in recap, recap
    assert f"successful={steps_of(scenario)}" in recap, recap
    return done.stdout

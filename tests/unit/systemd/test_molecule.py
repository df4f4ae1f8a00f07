"""Molecule passes in silence over a playbook that is not there; these tests are louder."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = REPOSITORY / "molecule/shared"
CONFIG = yaml.safe_load((REPOSITORY / ".config/molecule/config.yml").read_text())
SCENARIOS = sorted((REPOSITORY / "molecule").glob("*/molecule.yml"))
SEQUENCE = CONFIG["scenario"]["test_sequence"]
OWN_SEQUENCES = {"monitoring", "dr", "dr-debian-12"}
"""Scenarios that ask something else than what every deploy is asked."""


def own_sequences() -> list[list[str]]:
    read = [yaml.safe_load(path.read_text()) for path in SCENARIOS]
    return [each["scenario"]["test_sequence"] for each in read if "scenario" in each]


def playbooks() -> list[str]:
    named = [step.split()[1] for steps in (SEQUENCE, *own_sequences()) for step in steps if " " in step]
    return [*named, *CONFIG["ansible"]["playbooks"].values()]


@pytest.mark.parametrize("name", playbooks())
def test_every_playbook_of_the_sequence_exists(name: str) -> None:
    assert (SHARED / name).resolve().is_file()


@pytest.mark.parametrize("path", sorted(SHARED.glob("*.yml")), ids=lambda path: path.stem)
def test_every_gate_that_a_playbook_names_exists(path: Path) -> None:
    tree = ast.parse((REPOSITORY / "tests/testbed/gate.py").read_text())
    gates = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for play in yaml.safe_load(path.read_text()):
        named = [task["vars"]["gate"] for task in play["tasks"] if "gate" in task.get("vars", {})]
        assert set(named) <= gates


@pytest.mark.parametrize(
    "path", [path for path in SCENARIOS if path.parent.name not in OWN_SEQUENCES], ids=lambda path: path.parent.name
)
def test_a_scenario_says_only_which_machines_it_wants(path: Path) -> None:
    assert list(yaml.safe_load(path.read_text())) == ["platforms"]
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize("name", sorted(OWN_SEQUENCES))
def test_a_scenario_with_a_sequence_of_its_own_says_nothing_else(name: str) -> None:
    own = yaml.safe_load((REPOSITORY / "molecule" / name / "molecule.yml").read_text())
    assert list(own) == ["platforms", "scenario"]
    assert list(own["scenario"]) == ["test_sequence"]
    assert own["scenario"]["test_sequence"][0] == own["scenario"]["test_sequence"][-1] == "destroy"
    assert "verify" in own["scenario"]["test_sequence"]


def test_the_sequence_begins_with_destroy_and_asks_every_question_of_a_deploy() -> None:
    assert SEQUENCE[0] == SEQUENCE[-1] == "destroy"
    asked = [Path(step.split()[1]).stem for step in SEQUENCE if " " in step]
    assert asked == [
        "check_bare", "idempotence", "check_diff", "remove_keeps_data", "redeploy_adopts", "remove_everything",
    ]  # fmt: skip
    assert "verify" in SEQUENCE


def test_scenarios_use_the_repository_s_ansible_configuration() -> None:
    assert CONFIG["ansible"]["env"]["ANSIBLE_CONFIG"] == "${MOLECULE_PROJECT_DIRECTORY}/ansible.cfg"

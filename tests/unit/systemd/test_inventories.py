from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import VARIABLES

REPOSITORY = Path(__file__).resolve().parents[3]
PROD = REPOSITORY / "inventories/prod/group_vars/mesh.yml"
ASSIGNMENT = re.compile(r"^(?:# )?(mesh_[a-z_]+):", re.MULTILINE)


def uncommented() -> dict[str, Any]:
    """The file as it reads once every commented variable is taken in."""
    lines, taking = [], False
    for line in PROD.read_text().splitlines():
        if re.match(r"# mesh_[a-z_]+:", line):
            taking = True
        elif not (taking and line.startswith("#   ")):
            taking = False
        lines.append(line.removeprefix("# ") if taking else line)
    values: dict[str, Any] = yaml.safe_load("\n".join(lines))
    return values


def test_prod_names_every_public_variable_exactly_once() -> None:
    assert sorted(ASSIGNMENT.findall(PROD.read_text())) == sorted(variable.name for variable in VARIABLES)


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_prod_explains_every_variable(variable: Any) -> None:
    lines = PROD.read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if re.match(rf"(# )?{variable.name}:", line))
    assert lines[place - 1].startswith("# "), f"no line of explanation above {variable.name}"


@pytest.mark.parametrize(
    "variable", [each for each in VARIABLES if each.default is not None], ids=lambda variable: variable.name
)
def test_prod_shows_the_default_that_the_plan_uses(variable: Any) -> None:
    assert uncommented()[variable.name] == variable.default


def test_only_documentation_addresses_are_in_the_inventories_to_copy_from() -> None:
    for name in ("small", "prod", "compose", "kubernetes"):
        for file in (REPOSITORY / "inventories" / name).rglob("*.yml"):
            for address in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", file.read_text()):
                known = address.startswith("192.0.2.") or address in ("127.0.0.1", "172.29.64.0")
                assert known, f"{file}: {address}"


def test_a_small_site_is_five_lines_and_a_login() -> None:
    site = yaml.safe_load((REPOSITORY / "inventories/small/hosts.yml").read_text())["mesh"]
    names = [name for name in site["vars"] if name.startswith("mesh_")]
    assert names == ["mesh_name", "mesh_size", "mesh_platform", "mesh_version", "mesh_domain"]

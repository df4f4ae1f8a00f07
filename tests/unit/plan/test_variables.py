"""The specification of the variables is complete, and the reference is made from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kinds import INVALID, Regex
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.reference import page
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import BY_NAME, VARIABLES, Variable

ROOT = Path(__file__).parents[3]


def test_the_reference_in_docs_is_what_the_variables_say() -> None:
    assert (ROOT / "docs" / "variables.md").read_text(encoding="utf-8") == page(), "run: make docs"


def test_each_name_is_used_once() -> None:
    assert len(BY_NAME) == len(VARIABLES)


@pytest.mark.parametrize("variable", VARIABLES, ids=[variable.name for variable in VARIABLES])
def test_the_example_of_a_variable_is_allowed(variable: Variable) -> None:
    problems = Problems()
    checked = variable.kind.check(yaml.safe_load(variable.example), variable.name, problems, "")
    assert problems.sentences == []
    assert checked is not INVALID


@pytest.mark.parametrize("variable", VARIABLES, ids=[variable.name for variable in VARIABLES])
def test_the_default_of_a_variable_is_allowed(variable: Variable) -> None:
    if variable.default is None:
        assert variable.required or variable.default_text, "says neither a default nor how it is found"
        return
    problems = Problems()
    assert variable.kind.check(variable.default, variable.name, problems, "") == variable.default
    assert problems.sentences == []


def test_the_reference_names_every_variable_with_its_default_and_example() -> None:
    text = page()
    for variable in VARIABLES:
        assert f"### {variable.name}\n" in text
        assert f"- Example: `{variable.name}: {variable.example}`" in text


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"a(?=b)", r"(?<!a)b", r"(a)\1", r"(?P<n>a)(?P=n)", r"(?>a)", r"(?#c)a", r"(a)?(?(1)b|c)", r"(?x)a b"),
        *(r"a*+", r"a{2}+", r"a\Z", r"a{1001}", r".{0,5000}", r"\u0041", r"[\u4e00-\u9fff]"),
    ],
)
def test_a_pattern_that_python_knows_and_re2_does_not_is_refused(pattern: str) -> None:
    problems = Problems()
    assert Regex().check(pattern, "pattern", problems, "") is INVALID
    assert "RE2" in problems.sentences[0]


@pytest.mark.parametrize(
    "pattern",
    [r"[*+?}]+", r"[]*+]", r"\(\?=", r"\\1", r"[(?=]", r".{0,1000}", r"(?P<axe>a)", r"(?i-s:a)", r"\}+", r"\101"],
)
def test_a_pattern_that_only_looks_foreign_to_re2_is_taken(pattern: str) -> None:
    assert Regex().check(pattern, "pattern", Problems(), "") == pattern

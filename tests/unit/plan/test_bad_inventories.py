"""Every bad inventory gives exactly the sentences of `bad_inventories.yml`, read through Ansible's own loading."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.build import build_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError

from tests.unit.plan.sites import (
    BASELINE,
    COMPOSE,
    KUBERNETES,
    LOCAL,
    TWO_HOSTS,
    inputs_for,
    read_site,
    with_lines,
    without_line,
)

DATA = Path(__file__).parent / "bad_inventories.yml"
CASES: list[dict[str, Any]] = yaml.safe_load(DATA.read_text(encoding="utf-8"))
SITES = {"small": BASELINE, "local": LOCAL, "two_hosts": TWO_HOSTS, "compose": COMPOSE, "kubernetes": KUBERNETES}


def files_of(case: dict[str, Any]) -> dict[str, str]:
    if "files" in case:
        return dict(case["files"])
    base = SITES[case.get("site", "small")]
    if "without" in case:
        return {"hosts.yml": without_line(base, f"{case['without']}:")}
    return {"hosts.yml": with_lines(base, case.get("lines", ""))}


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_a_bad_inventory_is_refused_with_all_its_sentences_and_no_other(case: dict[str, Any], tmp_path: Path) -> None:
    inventory = read_site(tmp_path, files_of(case), case.get("extra"))
    with pytest.raises(PlanError) as refused:
        build_plan(inputs_for(inventory))
    assert refused.value.errors == case["says"]


def test_there_are_at_least_eighty_bad_inventories_and_none_twice() -> None:
    assert len({case["case"] for case in CASES}) == len(CASES) >= 80


def test_every_sentence_about_a_written_value_names_file_and_line() -> None:
    unwritten = {"name_is_missing", "size_is_missing", "boolean_of_the_file_that_wins_is_not_blamed_on_another"}
    for case in CASES:
        for sentence in case["says"]:
            if sentence.startswith("mesh_") and case["case"] not in unwritten and "extra" not in case:
                assert re.match(r"mesh_\S+( mem)? \([\w/.]+:\d+\) ", sentence), sentence


def test_every_sentence_is_one_sentence_that_says_what_to_do() -> None:
    for case in CASES:
        for sentence in case["says"]:
            assert sentence.endswith((".", "?"))
            assert "\n" not in sentence
            assert ";" in sentence, sentence


@pytest.mark.parametrize("site", SITES)
def test_the_sites_that_the_bad_ones_are_made_from_are_good(site: str, tmp_path: Path) -> None:
    build_plan(inputs_for(read_site(tmp_path, {"hosts.yml": SITES[site]})))

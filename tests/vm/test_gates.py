"""Negative controls of molecule's gates, on real runs: what they must refuse, they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testbed import gate
from tests.testbed.bed import Testbed
from tests.testbed.site import Site


@pytest.fixture
def judged(small: Site, bed: Testbed, folder: Path, monkeypatch: pytest.MonkeyPatch) -> gate.Site:
    for name, value in small.env.items():
        monkeypatch.setenv(name, value)
    return gate.Site("small", small.inventory, small.vms, folder)


def test_idempotence_refuses_a_deploy_with_one_changing_task(judged: gate.Site) -> None:
    problems = gate.idempotence(with_deploy(judged, "one_change"))
    assert problems == ["The second deploy changed vm1: Every unit gets another process"]


def test_check_diff_refuses_a_deploy_that_reports_a_change(judged: gate.Site) -> None:
    problems = gate.check_diff(with_deploy(judged, "one_change_in_check"))
    assert problems == ["--check --diff reports a change: vm1: A file would be written"]


def test_idempotence_refuses_a_restart_that_no_task_reports(judged: gate.Site) -> None:
    (problem,) = gate.idempotence(with_deploy(judged, "one_silent_restart"))
    assert problem.startswith("The second deploy restarted vm1 aimesh-redis.service")


def test_a_gate_refuses_a_playbook_that_is_not_there(judged: gate.Site) -> None:
    assert gate.idempotence(with_deploy(judged, "no_such_playbook"))


def test_removal_is_refused_while_anything_is_left(judged: gate.Site) -> None:
    bare = gate.footprint.footprint(judged.vms[0])
    without_mesh = gate.footprint.Footprint(
        frozenset(path for path in bare.paths if "aimesh" not in path),
        bare.packages,
        bare.users,
        bare.groups,
        bare.units,
    )
    assert "paths /etc/aimesh" in bare.left_over(without_mesh)


def with_deploy(site: gate.Site, name: str) -> gate.Site:
    return gate.Site(site.mesh, site.inventory, site.vms, site.folder, f"tests/vm/playbooks/{name}.yml")

"""Dashboards and rules are tested on recorded texts of the services' metrics; the recordings are of what is served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.mesh import SERVICES, Mesh

RECORDED = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "metrics" / "mesh"
LABEL = re.compile(r'(\w+)="')


def families(text: str) -> set[tuple[str, tuple[str, ...]]]:
    """(name, label names) of every series; the values, and which routes there are, are another matter."""
    samples = [line.rsplit(" ", 1)[0] for line in text.splitlines() if line and not line.startswith("#")]
    return {(sample.partition("{")[0], tuple(LABEL.findall(sample))) for sample in samples}


@pytest.mark.parametrize("service", SERVICES)
def test_the_recorded_metrics_are_those_that_the_service_has(open_mesh: Mesh, service: str) -> None:
    served = open_mesh.call("GET", service, "/metrics").text
    assert families(served) == families((RECORDED / f"{service}.txt").read_text())


def test_a_family_or_a_label_that_is_missing_is_a_difference() -> None:
    recorded = (RECORDED / "policy.txt").read_text()
    assert families(recorded) != families(recorded.replace("ai_mesh_policy_violations_total", "violations"))
    assert families(recorded) != families(re.sub(r',route="[^"]*"', "", recorded))

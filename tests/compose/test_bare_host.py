"""A host without a Docker Engine: the deploy installs the distribution's, and a removal takes it away again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testbed import Testbed
from tests.testbed.site import Site


@pytest.mark.usefixtures("images")
def test_the_engine_comes_and_goes_with_the_mesh(bed: Testbed, tmp_path: Path) -> None:
    vm = bed.start_compose_host("bare", bare=True)
    site = Site("compose", bed, tmp_path, {"192.0.2.10": vm})
    assert vm.run("command -v docker", check=False) == ""
    outcome = site.deploy()
    assert outcome.code == 0, outcome.output[-6000:]
    seen = vm.run("docker ps --format '{{.Names}} {{.Status}}'").splitlines()
    assert [line for line in seen if "(healthy)" not in line] == []
    assert len(seen) == 16
    removed = site.run("playbooks/destroy.yml", "-e", "mesh_remove_data=compose")
    assert removed.code == 0, removed.output[-4000:]
    assert vm.run("command -v docker", check=False) == ""

"""A mesh that is taken away, last of the suite: its host is as before, and keeps the data unless that is confirmed."""

from __future__ import annotations

from compose_host import Foreign, left_of_the_mesh

from tests.testbed.site import Site

DATA = "/var/lib/aimesh/postgresql"


def test_a_removal_keeps_the_data_and_leaves_nothing_else_in_the_engine(compose: Site, foreign: Foreign) -> None:
    vm = compose.vms[0]
    neighbour = foreign.as_of_now()
    assert left_of_the_mesh(vm)
    outcome = compose.run("playbooks/destroy.yml")
    assert outcome.code == 0, outcome.output[-4000:]
    assert left_of_the_mesh(vm) == []
    assert vm.run(f"find {DATA} -name PG_VERSION -maxdepth 2")
    assert neighbour.is_untouched()


def test_a_confirmed_removal_takes_the_data_too(compose: Site, foreign: Foreign) -> None:
    vm, neighbour = compose.vms[0], foreign.as_of_now()
    outcome = compose.run("playbooks/destroy.yml", "-e", "mesh_remove_data=compose")
    assert outcome.code == 0, outcome.output[-4000:]
    assert vm.run(f"ls -d {DATA} /etc/aimesh 2>/dev/null", check=False) == ""
    assert vm.run("docker version --format '{{.Server.Version}}'")
    assert neighbour.is_untouched()

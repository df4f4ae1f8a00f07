"""The site `compose` after its first `site.yml`."""

from __future__ import annotations

from compose_host import Foreign, told_by_the_engine
from story_bench import container_starts

from tests.testbed import footprint
from tests.testbed.site import Site

ANSWERS = (
    "for i in $(seq 60); do python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:3000/health')\""
    " 2>/dev/null && exit 0; sleep 1; done; exit 1"
)
HEALTHY = "docker ps --quiet --filter label=com.docker.compose.project=aimesh --filter health=healthy | wc -l"
ALL_HEALTHY = f"for i in $(seq 90); do [ $({HEALTHY}) = {{count}} ] && exit 0; sleep 1; done; docker ps --all; exit 1"
SECRETS = "for file in /etc/aimesh/credentials/*; do cat $file; echo; done"


MORE = '{"mesh_services": {"registry": {"replicas": 2}}, "mesh_thresholds": {"latency_p95_s": 0.4}}'
"""Changes the configuration of the edge, and where alerts draw the line."""


def test_site_yml_ends_with_a_report_in_which_everything_passed(compose: Site) -> None:
    assert compose.verify().returncode == 0
    counts = compose.report()["counts"]
    assert counts["pass"] > 150
    assert [name for name, count in counts.items() if count and name not in ("pass", "not_applicable")] == []


def test_every_container_was_judged(compose: Site) -> None:
    assert compose.verify().returncode == 0
    judged = {each["instance"] for each in compose.report()["checks"] if each["id"].startswith("container.")}
    assert len(judged) == len(container_starts(compose.vms[0])) == 16


def test_a_second_site_yml_changes_nothing_and_restarts_nothing(compose: Site) -> None:
    before = container_starts(compose.vms[0])
    assert before
    outcome = compose.run("site.yml")
    assert outcome.code == 0, outcome.output[-4000:]
    assert outcome.changed == []
    assert footprint.restarts(before, container_starts(compose.vms[0])) == []


def test_compose_itself_accepts_the_project(compose: Site) -> None:
    vm = compose.vms[0]
    assert vm.run("cd /etc/aimesh/compose && docker compose config --quiet 2>&1") == ""
    listed = vm.run("cd /etc/aimesh/compose && docker compose ps --services").split()
    assert len(listed) == 16


def test_a_neighbours_project_is_untouched(compose: Site, foreign: Foreign) -> None:
    assert foreign.is_untouched()


def test_the_engine_tells_no_secret(compose: Site) -> None:
    vm = compose.vms[0]
    values = [line for line in vm.run(SECRETS).splitlines() if len(line) >= 32 and " " not in line]
    assert len(values) >= 5
    told = told_by_the_engine(vm)
    assert [at for at, value in enumerate(values) if value in told] == []


def test_the_mesh_comes_back_by_itself_when_the_machine_restarts(compose: Site, foreign: Foreign) -> None:
    vm = compose.vms[0]
    count = int(vm.run(HEALTHY))
    # What has read its configuration again by a signal is no container that somebody stopped by hand.
    for wish in (("-e", MORE), ()):
        changed = compose.deploy(*wish)
        assert changed.code == 0, changed.output[-4000:]
    vm.restart()
    vm.run(ANSWERS)
    # The engine starts one after the other; those that nobody waits for may come last.
    vm.run(ALL_HEALTHY.format(count=count))
    outcome = compose.deploy()
    assert outcome.code == 0, outcome.output[-4000:]
    assert outcome.changed == []

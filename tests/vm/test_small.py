"""The site `small` after its first `site.yml`."""

from __future__ import annotations

import re

from tests.testbed import footprint
from tests.testbed.site import Site

REMOTE_CALLS = 8
EXPOSURE = 2.0


ASK = """
import http.client
connection = http.client.HTTPConnection("127.0.0.1", 3001, timeout=10)
connection.request("GET", "/api/v1/agents", headers={"X-API-Key": input()})
print(connection.getresponse().status)
"""


def status_with(small: Site, key: str) -> int:
    """What the registry answers to an API key."""
    return int(small.vms[0].run(f"echo {key} | python3 -c '{ASK}'"))


def test_site_yml_ends_with_a_report_in_which_everything_passed(small: Site) -> None:
    assert small.run("site.yml").code == 0
    counts = small.report()["counts"]
    assert counts["pass"] > 0
    assert [name for name, count in counts.items() if count and name not in ("pass", "not_applicable")] == []


def test_a_second_site_yml_changes_nothing_and_restarts_nothing(small: Site) -> None:
    before = small.starts()
    assert before
    outcome = small.run("site.yml")
    assert outcome.code == 0, outcome.output[-4000:]
    assert outcome.changed == []
    assert footprint.restarts(before, small.starts()) == []


def test_a_deploy_without_changes_makes_at_most_eight_remote_calls(small: Site) -> None:
    outcome = small.deploy("-vvv")
    assert outcome.code == 0, outcome.output[-4000:]
    assert 0 < outcome.remote_calls <= REMOTE_CALLS, outcome.remote_calls


def test_the_counter_of_remote_calls_sees_each_of_them(small: Site) -> None:
    """Negative control: a playbook of three tasks makes at least three."""
    assert small.run("tests/vm/playbooks/three_tasks.yml", "-vvv").remote_calls >= 3


def test_every_unit_of_ours_is_hardened(small: Site) -> None:
    vm = small.vms[0]
    units = vm.run("ls /etc/systemd/system | grep '^aimesh-.*service$'").split()
    assert len(units) >= 16
    for unit in units:
        last = vm.run(f"systemd-analyze security --no-pager '{unit}' | tail -1")
        found = re.search(r": (\d+\.\d+) ", last)
        assert found is not None, last
        assert float(found.group(1)) <= EXPOSURE, f"{unit}: {last}"


def test_unit_files_are_free_of_mistakes(small: Site) -> None:
    vm = small.vms[0]
    assert vm.run("systemd-analyze verify /etc/systemd/system/aimesh-*.service 2>&1") == ""


def test_the_packages_own_units_stay_off(small: Site) -> None:
    vm = small.vms[0]
    exporters = [f"prometheus-{name}-exporter.service" for name in ("node", "postgres", "redis", "blackbox")]
    monitoring = ("prometheus.service", "prometheus-alertmanager.service", *exporters)
    for unit in ("redis-server.service", "haproxy.service", *monitoring):
        assert vm.run(f"systemctl is-enabled {unit}", check=False).strip() == "disabled"
        assert vm.run(f"systemctl is-active {unit}", check=False).strip() == "inactive"
    assert vm.run("pg_lsclusters --no-header | awk '{print $2}'").split() == ["mesh"]


def test_the_operators_command_finds_nothing_wrong_and_makes_keys_that_work(small: Site) -> None:
    vm = small.vms[0]
    assert "FAIL" not in vm.run("/usr/local/sbin/aimesh doctor")
    key = vm.run("/usr/local/sbin/aimesh admin keys create --subject vm-test --role reader").split()[-1]
    assert [status_with(small, given) for given in (key, key[:-1] + "x")] == [200, 401]


def test_the_mesh_comes_back_by_itself_when_the_machine_restarts(small: Site) -> None:
    vm = small.vms[0]
    vm.restart()
    vm.run(
        "for i in $(seq 60); do python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:3000/health')\""
        " 2>/dev/null && exit 0; sleep 1; done; exit 1"
    )
    assert small.deploy().changed == []

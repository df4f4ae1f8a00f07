"""The modules packages, files and removal on a real Debian with apt, dpkg, systemd and account tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from container_modules import ContainerModules

from tests.testbed import Testbed, footprint
from tests.testbed.vm import Vm

STATE = "/var/lib/aimesh"
POLICY = "/usr/sbin/policy-rc.d"
PRESET = {"path": "/etc/systemd/system-preset/10-aimesh.preset", "content": "disable redis-server.service\n"}
REDIS = {"state_dir": STATE, "names": ["redis-server"], "files": [PRESET]}
UNIT = "[Service]\nUser=aimesh\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
FILES: dict[str, Any] = {
    "state_dir": STATE,
    "groups": [{"name": "aimesh"}],
    "users": [{"name": "aimesh", "group": "aimesh"}],
    "directories": [
        {"path": "/etc/aimesh", "owner": "root", "group": "root"},
        {"path": "/var/lib/redis-mesh", "owner": "redis", "group": "redis", "mode": "0750", "keep": True},
    ],
    "files": [
        PRESET,
        {"path": "/etc/systemd/system/aimesh-x@a.service", "content": UNIT},
        {"path": "/etc/aimesh/x.conf", "content": "x\n", "owner": "aimesh", "group": "redis", "mode": "0640"},
    ],
}
REMOVAL = {"state_dir": STATE, "mesh_name": "acme", "units": ["aimesh-x@a"], "releases": "/opt/aimesh/releases"}
CONFIRMED = {"remove_data": "acme", "remove_backups": "acme"}
# dpkg calls it after each of its runs; the second one is apt's unpacking.
CRASH = """#!/bin/sh
n=$(($(cat /var/tmp/crash 2>/dev/null || echo 0) + 1))
echo $n > /var/tmp/crash
[ $n = 2 ] || exit 0
pkill -KILL -f patch_module_args
pkill -KILL apt-get
"""


@pytest.fixture(scope="module")
def vm(bed: Testbed) -> Vm:
    return bed.start("packages")


@pytest.fixture(scope="module")
def host(vm: Vm) -> ContainerModules:
    return ContainerModules(vm.container)


@pytest.fixture
def bare(vm: Vm, host: ContainerModules) -> Iterator[footprint.Footprint]:
    """The host as it was; afterwards it must be that again."""
    before = footprint.footprint(vm)
    yield before
    host.run("removal", REMOVAL | CONFIRMED)
    assert footprint.footprint(vm).left_over(before) == []


def record(host: ContainerModules) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(host.shell(f"cat {STATE}/packages.json"))
    return loaded


def test_packages_come_without_starting_or_enabling_anything(bare: footprint.Footprint, host: ContainerModules) -> None:
    predicted = host.run("packages", REDIS, check=True)
    assert (predicted["changed"], predicted["packages"]) == (True, ["redis-server"])
    assert host.shell(f"ls {STATE} {POLICY} 2>/dev/null", check=False) == ""

    done = host.run("packages", REDIS)
    assert done["changed"], done
    assert {"redis-server", "redis-tools"} <= set(done["added"])
    assert host.shell("systemctl is-active redis-server; systemctl is-enabled redis-server", check=False).split() == [
        "inactive",
        "disabled",
    ]
    assert host.shell(f"ls {POLICY}", check=False) == ""
    assert (record(host)["users"], record(host)["pending"]) == (["redis"], [])
    for check in (True, False):
        assert not host.run("packages", REDIS, check=check)["changed"]


def test_the_operators_policy_on_service_starts_survives(bare: footprint.Footprint, host: ContainerModules) -> None:
    host.shell(f"printf '#!/bin/sh\\nexit 0\\n' > {POLICY}; chmod 755 {POLICY}")
    before = host.shell(f"cat {POLICY}; stat -c %a {POLICY}")
    host.run("packages", REDIS)
    failed = host.run("packages", REDIS | {"names": ["no-such-package"]})
    assert failed["msg"].endswith("E: Unable to locate package no-such-package")
    assert host.shell(f"cat {POLICY}; stat -c %a {POLICY}") == before
    host.shell(f"rm {POLICY}")


def test_an_installation_killed_half_way_is_finished_and_recorded(
    bare: footprint.Footprint, host: ContainerModules
) -> None:
    host.shell(f"cat > /usr/local/sbin/crash <<'END'\n{CRASH}END\nchmod 755 /usr/local/sbin/crash")
    host.shell("echo post-invoke=/usr/local/sbin/crash > /etc/dpkg/dpkg.cfg.d/crash")
    with pytest.raises(AssertionError, match="printed no JSON"):
        host.run("packages", REDIS)
    host.shell("rm /etc/dpkg/dpkg.cfg.d/crash /usr/local/sbin/crash /var/tmp/crash")
    assert "aimesh: temporary" in host.shell(f"cat {POLICY}"), "the crash came too late to prove anything"
    assert host.shell("dpkg-query -W -f '${db:Status-Status}' redis-server") == "unpacked"

    done = host.run("packages", REDIS)
    assert done["changed"], done
    assert host.shell("dpkg-query -W -f '${db:Status-Status}' redis-server") == "installed"
    assert host.shell(f"ls {POLICY}", check=False) == ""
    assert {"redis-server", "redis-tools"} <= set(record(host)["added"])
    assert record(host)["users"] == ["redis"]


def test_another_package_tool_is_waited_for(bare: footprint.Footprint, host: ContainerModules) -> None:
    lock = "/var/lib/dpkg/lock-frontend"
    hold = f"import fcntl, time; f = open('{lock}', 'rb+'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(6)"
    host.shell(f'setsid python3 -c "{hold}" >/dev/null 2>&1 & sleep 1')
    done = host.run("packages", REDIS)
    assert done["changed"], done


def test_a_removal_keeps_data_then_a_deploy_adopts_it_then_nothing_is_left(
    bare: footprint.Footprint, host: ContainerModules
) -> None:
    host.run("packages", REDIS)
    assert host.run("files", FILES)["changed"]
    assert not host.run("files", FILES)["changed"]
    assert host.shell("stat -c '%U:%G %a' /etc/aimesh/x.conf") == "aimesh:redis 640\n"
    host.shell("systemctl daemon-reload; systemctl enable --now aimesh-x@a; echo rows > /var/lib/redis-mesh/dump")

    removed = host.run("removal", REMOVAL)
    assert removed["changed"], removed
    assert host.shell("cat /var/lib/redis-mesh/dump") == "rows\n"
    assert "redis" in host.shell("stat -c %U /var/lib/redis-mesh"), "the owner of kept data went"
    assert host.shell("systemctl is-active aimesh-x@a", check=False) == "inactive\n"
    assert host.shell("getent passwd aimesh", check=False) == ""
    assert not host.run("removal", REMOVAL)["changed"]

    host.run("packages", REDIS)
    host.run("files", FILES)
    assert host.shell("cat /var/lib/redis-mesh/dump") == "rows\n"


def test_a_package_that_others_came_to_need_stays(vm: Vm, host: ContainerModules) -> None:
    host.run("packages", REDIS | {"names": ["liblzf1"], "files": []})
    host.shell(
        "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends redis-tools >/dev/null 2>&1"
    )
    removed = host.run("removal", REMOVAL | CONFIRMED)
    assert [(item["kind"], item["name"]) for item in removed["kept"]] == [("package", "liblzf1"), ("state", STATE)]
    assert record(host)["added"] == ["liblzf1"]
    assert host.shell("dpkg-query -W -f '${db:Status-Status}' redis-tools") == "installed"

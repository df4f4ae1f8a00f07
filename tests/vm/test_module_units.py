"""The module units under a real systemd: fingerprints, gates, one-shots, crash loops, and what it leaves behind."""

from __future__ import annotations

import shlex
import time
from typing import Any

import pytest
from container_modules import ContainerModules

from tests.testbed import Testbed

SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
port, version, status = open(f"/etc/demo/{sys.argv[1]}.conf").read().split()
if status == "crash":
    sys.exit("I say no to this configuration")
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"version": version, "detail": "not yet"}).encode()
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""
TEMPLATE = """
[Service]
Type=exec
ExecStart=/usr/bin/python3 /opt/demo.py %i
Restart=on-failure
RestartSec=1
[Install]
WantedBy=multi-user.target
"""
JOB = """
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo ran >> /run/demo-job; test ! -e /etc/demo/fail || { echo the job says no; exit 3; }'
"""
SOLO = """
[Service]
ExecStart=/bin/sleep 100000
[Install]
WantedBy=multi-user.target
"""


class Host:
    def __init__(self, modules: ContainerModules) -> None:
        self.modules = modules
        self.shell = modules.shell

    def put(self, path: str, text: str) -> None:
        self.shell(f"mkdir -p $(dirname {path}); printf %s {shlex.quote(text)} > {path}")

    def call(self, units: list[dict[str, Any]], *, check: bool = False, verb: str = "converge") -> dict[str, Any]:
        args = {"state_dir": "/var/lib/aimesh", "run_id": "test", "verb": verb, "units": units}
        return self.modules.run("units", args, check=check, diff=True)

    def steps(self, units: list[dict[str, Any]], *, check: bool = False) -> list[tuple[str, str]]:
        result = self.call(units, check=check)
        assert "failed" not in result, result["msg"]
        return [(step["action"], step["unit"]) for step in result["steps"]]

    def predicted_and_done(self, units: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """What check mode foresees, which the run must do, after which nothing is left to do."""
        foreseen = self.steps(units, check=True)
        assert self.steps(units) == foreseen
        pids = self.pids()
        assert self.call(units)["changed"] is False and self.pids() == pids
        return foreseen

    def pids(self) -> str:
        return self.shell("systemctl show -p MainPID,ExecMainStartTimestampMonotonic demo@a demo@b")


def unit(name: str, fingerprint: str = "sha256:1", **fields: Any) -> dict[str, Any]:
    return {"name": name, "fingerprint": fingerprint, **fields}


def http(name: str, port: int, fingerprint: str = "sha256:1", version: str = "v1", **fields: Any) -> dict[str, Any]:
    ready = {"url": f"http://127.0.0.1:{port}/health", "version": version, "timeout_s": 4}
    return unit(name, fingerprint, ready=ready, **fields)


A, JOB_UNIT, B = http("demo@a", 18001), unit("demo-job", oneshot=True), http("demo@b", 18002)
BASE = [A, JOB_UNIT, B]


@pytest.fixture(scope="module")
def machine(bed: Testbed) -> ContainerModules:
    return ContainerModules(bed.start("units").container)


FILES = {
    "/opt/demo.py": SERVER,
    "/etc/systemd/system/demo@.service": TEMPLATE,
    "/etc/systemd/system/demo-job.service": JOB,
    "/etc/demo/a.conf": "18001 v1 200",
    "/etc/demo/b.conf": "18002 v1 200",
}


@pytest.fixture
def host(machine: ContainerModules) -> Host:
    """The host with the units of BASE running and recorded, whatever the test before it did."""
    made = Host(machine)
    writes = [f"printf %s {shlex.quote(text)} > {path}" for path, text in FILES.items()]
    made.shell("mkdir -p /etc/demo; rm -f /etc/demo/fail; " + "; ".join(writes) + "; systemctl daemon-reload")
    ready = made.call(BASE)
    assert "failed" not in ready, ready["msg"]
    made.shell("rm -f /run/demo-job")
    return made


def test_the_first_start_is_foreseen_and_done_in_order(host: Host) -> None:
    host.call(BASE, verb="stop")
    assert host.predicted_and_done(BASE) == [("start", "demo@a"), ("run", "demo-job"), ("start", "demo@b")]


def test_units_are_enabled_ready_and_recorded(host: Host) -> None:
    assert host.shell("systemctl is-active demo@a demo@b; systemctl is-enabled demo@a demo@b").split() == [
        "active", "active", "enabled", "enabled",
    ]  # fmt: skip
    found = host.call(BASE, verb="status")["units"]
    assert found["demo@a"]["state"] == "active (running)" and found["demo@a"]["recorded"] == "sha256:1"
    assert host.shell("stat -c %a /var/lib/aimesh/units/*.json").split() == ["600"] * 3


def test_only_the_unit_whose_fingerprint_changed_is_restarted(host: Host) -> None:
    before = host.shell("systemctl show -p MainPID --value demo@a")
    host.put("/etc/demo/b.conf", "18002 v2 200")
    assert host.predicted_and_done([A, JOB_UNIT, http("demo@b", 18002, "sha256:2", "v2")]) == [("restart", "demo@b")]
    assert host.shell("systemctl show -p MainPID --value demo@a") == before


def test_a_crash_loop_ends_the_call_early_with_the_units_own_words_and_is_made_good_next_time(host: Host) -> None:
    host.put("/etc/demo/b.conf", "18002 v3 crash")
    broken = http("demo@b", 18002, "sha256:3", "v3")
    broken["ready"]["timeout_s"] = 60
    begin = time.monotonic()
    failed = host.call([A, JOB_UNIT, broken])
    assert failed["failed"] and time.monotonic() - begin < 20
    assert "demo@b is not ready" in failed["msg"] and "crashes again and again" in failed["msg"]
    assert "http://127.0.0.1:18002/health answers 200 with version v3" in failed["msg"]
    assert "I say no to this configuration" in failed["msg"]
    host.put("/etc/demo/b.conf", "18002 v3 200")
    host.shell("systemctl stop demo@b")
    assert host.predicted_and_done([A, JOB_UNIT, broken]) == [("start", "demo@b")]


def test_a_unit_that_answers_but_is_not_ready_fails_with_its_own_reason_and_is_not_recorded(host: Host) -> None:
    host.put("/etc/demo/b.conf", "18002 v4 503")
    units = [A, JOB_UNIT, http("demo@b", 18002, "sha256:4", "v4")]
    failed = host.call(units)
    assert failed["failed"] and "seen: status 503 (not yet)" in failed["msg"]
    host.put("/etc/demo/b.conf", "18002 v4 200")
    assert host.predicted_and_done(units) == [("restart", "demo@b")]


def test_another_version_on_the_port_does_not_count_as_ready(host: Host) -> None:
    failed = host.call([A, JOB_UNIT, http("demo@b", 18002, "sha256:5", "v5")])
    assert failed["failed"] and "status 200 with version v1" in failed["msg"]


def test_a_failed_oneshot_holds_back_what_follows_and_runs_again_until_it_succeeds(host: Host) -> None:
    host.shell("touch /etc/demo/fail")
    before = host.pids()
    units = [A, unit("demo-job", "sha256:6", oneshot=True), http("demo@b", 18002, "sha256:6")]
    failed = host.call(units)
    assert failed["failed"] and "demo-job did not succeed: failed (exit-code, status 3)" in failed["msg"]
    assert "the job says no" in failed["msg"] and host.pids() == before
    host.shell("rm /etc/demo/fail")
    assert host.predicted_and_done(units) == [("run", "demo-job"), ("restart", "demo@b")]
    assert host.shell("wc -l < /run/demo-job").strip() == "2"


def test_a_unit_that_was_stopped_by_hand_is_started(host: Host) -> None:
    host.shell("systemctl stop demo@a")
    assert host.predicted_and_done(BASE) == [("start", "demo@a")]


def test_a_unit_that_systemd_restarted_by_itself_is_left_alone(host: Host) -> None:
    host.shell("systemctl kill -s KILL demo@a; sleep 2")
    assert host.call(BASE)["changed"] is False


def test_a_file_written_under_a_running_unit_restarts_it(host: Host) -> None:
    units = [{**A, "files": ["/etc/demo/a.conf"]}, JOB_UNIT, B]
    host.put("/etc/demo/a.conf", "18001 v1 200")
    assert host.predicted_and_done(units) == [("restart", "demo@a")]


def test_a_unit_that_is_no_longer_wanted_is_stopped_and_disabled_also_without_its_file(host: Host) -> None:
    host.put("/etc/systemd/system/demo-solo.service", SOLO)
    assert host.predicted_and_done([*BASE, unit("demo-solo")]) == [("start", "demo-solo")]
    host.shell("rm /etc/systemd/system/demo-solo.service")
    assert host.predicted_and_done(BASE) == [("stop", "demo-solo")]
    assert host.shell("systemctl is-active demo-solo", check=False).strip() == "inactive"
    left = host.shell("find /etc/systemd/system /var/lib/aimesh -name '*demo-solo*'")
    assert left == ""


def test_alone_the_given_units_change_and_others_that_are_recorded_go_on(host: Host) -> None:
    args = {"state_dir": "/var/lib/aimesh", "run_id": "test", "verb": "converge", "alone": True}
    changed = http("demo@b", 18002, "sha256:alone")
    before = host.shell("systemctl show -p MainPID demo@a")
    for check in (True, False):
        result = host.modules.run("units", args | {"units": [changed]}, check=check, diff=True)
        assert [(step["action"], step["unit"]) for step in result["steps"]] == [("restart", "demo@b")], result
    assert host.shell("systemctl show -p MainPID demo@a") == before
    assert host.predicted_and_done(BASE) == [("restart", "demo@b")]


def test_a_changed_unit_file_is_read_again_and_a_disabled_unit_enabled(host: Host) -> None:
    host.put("/etc/systemd/system/demo@.service", TEMPLATE.replace("RestartSec=1", "RestartSec=2"))
    host.shell("systemctl --quiet disable demo@a; touch /etc/systemd/system/demo@.service")
    host.shell("sed -i s/RestartSec=2/RestartSec=3/ /etc/systemd/system/demo@.service")
    assert host.call(BASE, check=True)["changed"] and host.call(BASE)["changed"]
    assert host.shell("systemctl show -p NeedDaemonReload --value demo@b").strip() == "no"
    assert host.shell("systemctl is-enabled demo@a").strip() == "enabled"
    assert host.call(BASE)["changed"] is False


def test_a_unit_without_a_file_is_one_clear_sentence_and_touches_nothing_else(host: Host) -> None:
    before = host.pids()
    failed = host.call([*BASE, unit("demo-none")])
    assert failed["failed"] and failed["msg"].startswith("systemd cannot load demo-none: the unit's file is missing")
    assert host.pids() == before and host.call(BASE)["changed"] is False


def test_stop_ends_and_disables_everything_and_says_so_once(host: Host) -> None:
    assert host.call(BASE, check=True, verb="stop")["stopped"] == ["demo@a", "demo@b"]
    assert host.call(BASE, verb="stop")["stopped"] == ["demo@a", "demo@b"]
    assert host.call(BASE, verb="stop")["changed"] is False
    assert host.shell("systemctl is-active demo@a; ls /var/lib/aimesh/units", check=False).strip() == "inactive"

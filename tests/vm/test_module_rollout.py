"""The module rollout under a real systemd and a real HAProxy, with somebody who calls all the while."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import render_files
from container_modules import ContainerModules

from tests.testbed import Testbed

TEMPLATES = Path(__file__).resolve().parents[2] / "roles/platform_systemd/templates"
SOCKET = "/run/aimesh/haproxy/admin.sock"
CONFIG = "/etc/demo/haproxy.cfg"
PORTS = {"a": 18001, "b": 18002, "c": 18003}
SERVER = """
import json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
port, version, how = sys.argv[1:]
if how == "crashes":
    threading.Timer(1.5, lambda: os._exit(3)).start()
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/stream":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b"tick\\n")
                time.sleep(0.2)
        if self.path == "/work":
            time.sleep(0.05)
        body = json.dumps({"version": version}).encode()
        self.send_response(503 if how == "never" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
class Server(ThreadingHTTPServer):
    request_queue_size = 128
Server(("127.0.0.1", int(port)), Handler).serve_forever()
"""
CALLER = """
import collections, http.client, json, os, threading, time
counts, versions, failures, lock = collections.Counter(), [], [], threading.Lock()
def call(connection):
    connection.request("GET", "/work")
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise OSError(f"status {answer.status}")
    return json.loads(body)["version"], answer.will_close
def run(keep):
    connection = None
    while not os.path.exists("/run/demo/stop"):
        connection = connection or http.client.HTTPConnection("127.0.0.1", 18000, timeout=10)
        try:
            version, closes = call(connection)
            with lock:
                counts["sent"] += 1
                if not versions or versions[-1] != version:
                    versions.append(version)
        except (OSError, http.client.HTTPException) as error:
            closes = True
            with lock:
                counts["sent"] += 1
                counts["failed"] += 1
                failures.append(f"{keep} {type(error).__name__} {error}")
        if closes or not keep:
            connection.close()
            connection = None
        time.sleep(0.02)
threads = [threading.Thread(target=run, args=(keep,)) for keep in (True, True, False, False)]
[each.start() for each in threads]
[each.join() for each in threads]
with open("/run/demo/result.part", "w") as file:
    json.dump({**counts, "versions": versions, "failures": failures[:20]}, file)
os.rename("/run/demo/result.part", "/run/demo/result")
"""
UNIT = """\
[Service]
Type=exec
ExecStart=/usr/bin/python3 /opt/demo.py {port} {version} {how}
Restart=on-failure
RestartSec=1
TimeoutStopSec=5
[Install]
WantedBy=multi-user.target
"""


def unit(letter: str) -> str:
    return f"aimesh-demo@{letter}"


class Host:
    """Service `demo`: slot `a` planned, slot `b` spare, behind HAProxy at port 18000."""

    def __init__(self, modules: ContainerModules) -> None:
        self.modules = modules
        self.shell = modules.shell

    def put(self, path: str, text: str) -> None:
        self.shell(f"mkdir -p $(dirname {path}); printf %s {shlex.quote(text)} > {path}")

    def slot(self, letter: str, version: str, how: str = "well") -> dict[str, Any]:
        port = PORTS[letter]
        content = UNIT.format(port=port, version=version, how=how)
        return {
            "name": unit(letter),
            "server": f"demo/vm1-{letter}",
            "fingerprint": f"sha256:{version}",
            "files": [{"path": f"/etc/systemd/system/{unit(letter)}.service", "content": content}],
            "ready": {"url": f"http://127.0.0.1:{port}/health", "version": version, "timeout_s": 5},
            "stop_s": 5,
        }

    def call(self, verb: str, slots: list[dict[str, Any]], **args: Any) -> dict[str, Any]:
        common = {"state_dir": "/var/lib/aimesh", "run_id": "r1", "haproxy_socket": SOCKET, "haproxy_config": CONFIG}
        taken = [{key: value for key, value in slot.items() if key != "unit_file"} for slot in slots]
        return self.modules.run("rollout", common | {"verb": verb, "slots": taken} | args)

    def perform(self, slots: list[dict[str, Any]], *steps: tuple[str, str, Any]) -> dict[str, Any]:
        """Steps as (action, slot letter, limit)."""
        gates = {"start": "ready_on_release", "soak": "steady_seconds", "enable": "edge_sees_up"}
        listed = [
            {
                "n": n,
                "action": action,
                "unit": unit(letter) if letter in PORTS else letter,
                "server": f"demo/vm1-{letter}" if letter in PORTS else "",
                "gate": {"kind": gates.get(action, "none"), "limit": limit},
                "timeout_s": 8,
            }
            for n, (action, letter, limit) in enumerate(steps, start=1)
        ]
        return self.call("perform", slots, steps=listed)

    def done(self, slots: list[dict[str, Any]], *steps: tuple[str, str, Any]) -> list[dict[str, Any]]:
        result = self.perform(slots, *steps)
        assert "failed" not in result, result["msg"]
        done: list[dict[str, Any]] = result["done"]
        return done

    def haproxy(self, *letters: str) -> dict[str, Any]:
        """HAProxy as the role configures it, with `a` planned and the rest as spares."""
        servers = [
            {"name": f"vm1-{each}", "address": f"127.0.0.1:{PORTS[each]}", "disabled": each != "a"} for each in letters
        ]
        front = {"service": "demo", "bind": "127.0.0.1:18000", "public": True, "servers": servers}
        values = {"socket": SOCKET, "fronts": [front]}
        unit_values = {"conf": CONFIG, "runtime": "aimesh/haproxy", "description": "Edge"}
        config, service = render_files(
            [
                File(CONFIG, template="haproxy.cfg.j2", vars=values),
                File("/etc/systemd/system/aimesh-haproxy.service", template="haproxy.service.j2", vars=unit_values),
            ],
            {},
            "vm1",
            TEMPLATES,
            None,
        )
        check = ["/usr/sbin/haproxy", "-c", "-q", "-f", "{path}"]
        return {
            "name": "aimesh-haproxy",
            "fingerprint": f"sha256:{config.identity}",
            "reload": True,
            "files": [{"path": CONFIG, "content": config.content, "validate": check}],
            "unit_file": service.content,
        }

    def serve(self, version: str = "v1") -> None:
        """Slot `a` of `version` alone takes calls, whatever was before."""
        edge = self.haproxy("a", "b")
        self.put("/etc/systemd/system/aimesh-haproxy.service", edge.pop("unit_file"))
        self.put(CONFIG, edge["files"][0]["content"])
        self.shell("systemctl daemon-reload; systemctl -q enable aimesh-haproxy; systemctl restart aimesh-haproxy")
        self.shell("rm -rf /var/lib/aimesh; mkdir -p /run/demo")
        slots = [self.slot("a", version), self.slot("b", version), self.slot("c", version), edge]
        self.done(slots, *((("remove", each, None)) for each in "bc"), ("edge", "aimesh-haproxy", None))
        self.done(slots, ("stop", "a", None), ("start", "a", version), ("enable", "a", None), ("soak", "a", 0))

    def observe(self, *slots: dict[str, Any]) -> dict[str, Any]:
        return self.call("observe", list(slots))


class Caller:
    """Calls the edge from the host itself until it is asked for what it saw."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.shell("rm -f /run/demo/stop /run/demo/result")
        subprocess.run(["docker", "exec", "-d", host.modules.container, "python3", "/opt/caller.py"], check=True)
        time.sleep(1)

    def result(self) -> dict[str, Any]:
        self.host.shell("touch /run/demo/stop; timeout 20 sh -c 'until test -e /run/demo/result; do sleep 0.1; done'")
        found: dict[str, Any] = {"failed": 0} | json.loads(self.host.shell("cat /run/demo/result"))
        return found


@pytest.fixture(scope="module")
def machine(bed: Testbed) -> ContainerModules:
    vm = bed.start("rollout")
    vm.run("apt-get -q update && apt-get -qy install --no-install-recommends haproxy", timeout=300)
    vm.run("systemctl --quiet disable --now haproxy")
    return ContainerModules(vm.container)


@pytest.fixture
def host(machine: ContainerModules) -> Host:
    made = Host(machine)
    made.put("/opt/demo.py", SERVER)
    made.put("/opt/caller.py", CALLER)
    made.serve()
    return made


@pytest.fixture
def caller(host: Host) -> Iterator[Caller]:
    made = Caller(host)
    yield made
    host.shell("touch /run/demo/stop")


REPLACE = [
    ("start", "b", "v2"), ("enable", "b", None), ("drain", "a", 0), ("stop", "a", None), ("start", "a", "v2"),
    ("enable", "a", None), ("soak", "a", 2), ("drain", "b", 0), ("stop", "b", None), ("remove", "b", None),
]  # fmt: skip


def test_a_slot_is_replaced_without_a_lost_request(host: Host, caller: Caller) -> None:
    slots = [host.slot("a", "v2"), host.slot("b", "v2")]
    done = host.done(slots, *REPLACE)
    seen = caller.result()
    assert seen["failed"] == 0 and seen["sent"] > 200, seen
    assert seen["versions"][0] == "v1" and seen["versions"][-1] == "v2"
    assert [each["action"] for each in done] == [action for action, _, _ in REPLACE]
    found = host.observe(*slots)
    assert found["units"][unit("a")]["release"] == "v2" and found["units"][unit("a")]["recorded"] == "sha256:v2"
    assert not found["units"][unit("b")]["present"] and found["saved_slots"] == []
    assert {name: each["admin"] for name, each in found["servers"].items()} == {
        "demo/vm1-a": "ready",
        "demo/vm1-b": "maint",
    }


def test_a_stop_without_a_drain_loses_requests(host: Host, caller: Caller) -> None:
    host.done([host.slot("a", "v2")], ("stop", "a", None), ("start", "a", "v2"))
    seen = caller.result()
    assert seen["failed"] > 0, seen


def test_what_a_rollout_leaves_has_nothing_to_do_for_a_deploy(host: Host) -> None:
    host.done([host.slot("a", "v2"), host.slot("b", "v2")], *REPLACE)
    edge = host.haproxy("a", "b", "c")
    host.done([edge], ("edge", "aimesh-haproxy", None))
    service = "/etc/systemd/system/{}.service"
    wanted = [
        {"name": unit("a"), "fingerprint": "sha256:v2", "files": [service.format(unit("a"))]},
        {"name": "aimesh-haproxy", "fingerprint": edge["fingerprint"], "reload": True, "files": [CONFIG]},
    ]
    result = host.modules.run("units", {"state_dir": "/var/lib/aimesh", "run_id": "r2", "units": wanted})
    assert not result["changed"], result["steps"]


def test_a_slot_that_never_becomes_ready_gets_its_old_release_back_and_nobody_notices(
    host: Host, caller: Caller
) -> None:
    good, bad = host.slot("b", "v1"), host.slot("a", "v2", "never")
    host.done([good], ("start", "b", "v1"), ("enable", "b", None))
    failed = host.perform([good, bad], ("drain", "a", 0), ("stop", "a", None), ("start", "a", "v2"))
    assert failed["failed"] and "Gate ready_on_release v2 failed" in failed["msg"]
    assert "seen: status 503" in failed["msg"] and f"journalctl -u {unit('a')}" in failed["msg"]
    assert host.observe(bad)["saved_slots"] == [unit("a"), unit("b")]
    undone = host.call("undo", [bad, good], units=[unit("a"), unit("b")])["undone"]
    assert [each["outcome"] for each in undone] == ["restored", "removed"] and undone[0]["release"] == "v1"
    seen = caller.result()
    assert seen["failed"] == 0 and seen["versions"] == ["v1"], seen
    found = host.observe(host.slot("a", "v1"))
    assert found["units"][unit("a")]["recorded"] == "sha256:v1" and found["saved_slots"] == []


def test_a_crash_after_readiness_is_caught_by_the_soak(host: Host) -> None:
    slots = [host.slot("b", "v2", "crashes")]
    failed = host.perform(slots, ("start", "b", "v2"), ("enable", "b", None), ("soak", "b", 6))
    assert failed["failed"] and failed["failed_step"]["action"] == "soak", failed
    assert "Gate steady_seconds 6 failed" in failed["msg"]


def test_a_new_configuration_reaches_a_new_worker_under_load_and_cuts_no_stream(host: Host, caller: Caller) -> None:
    stream = (
        "python3 -u -c \"import urllib.request as u; [print(x) for x in u.urlopen('http://127.0.0.1:18000/stream')]\""
    )
    host.shell(f"({stream} > /run/demo/stream 2>&1 &)")
    host.shell("timeout 5 sh -c 'until grep -q tick /run/demo/stream; do sleep 0.1; done'")
    done = host.done([host.haproxy("a", "b", "c")], ("edge", "aimesh-haproxy", None))
    assert "a new worker answers" in done[0]["seen"]
    before = host.shell("wc -l < /run/demo/stream")
    host.shell(
        f"timeout 5 sh -c 'until test $(wc -l < /run/demo/stream) -gt $(({before.strip()} + 3)); do sleep 0.1; done'"
    )
    assert "demo/vm1-c" in host.observe()["servers"]
    seen = caller.result()
    assert seen["failed"] == 0, seen


def test_a_configuration_that_haproxy_refuses_leaves_the_old_one_at_work(host: Host, caller: Caller) -> None:
    edge = host.haproxy("a", "b", "c")
    edge["files"][0]["content"] += "\nnonsense here\n"
    before = host.shell(f"cat {CONFIG}")
    failed = host.perform([edge], ("edge", "aimesh-haproxy", None))
    assert failed["failed"] and "/usr/sbin/haproxy refuses the new content" in failed["msg"], failed
    assert host.shell(f"cat {CONFIG}") == before and caller.result()["failed"] == 0


def test_a_stream_that_outlives_the_drain_is_counted(host: Host) -> None:
    host.done([host.slot("b", "v1")], ("start", "b", "v1"))
    stream = "python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:18000/stream').read()\""
    host.shell(f"({stream} > /dev/null 2>&1 &)")
    host.shell("timeout 5 sh -c 'until ss -tn | grep -q :18000; do sleep 0.1; done'; sleep 0.3")
    host.done([host.slot("b", "v1")], ("enable", "b", None))
    done = host.done([host.slot("a", "v2")], ("drain", "a", 0), ("stop", "a", None))
    assert done[0]["cut"] == 1 and done[0]["seen"].startswith("1 sessions after 8 s"), done


@pytest.mark.parametrize("moment", ["wait", "soak"])
def test_a_call_that_is_killed_can_be_done_again(host: Host, caller: Caller, moment: str) -> None:
    """The module dies while slot `a` waits for readiness, or soaks; the same steps again go through."""
    slots = [host.slot("a", "v2"), host.slot("b", "v2")]
    host.done(slots, *REPLACE[:2])
    broken = [host.slot("a", "v2", "never" if moment == "wait" else "well")]
    steps = [("drain", "a", 0), ("stop", "a", None), ("start", "a", "v2"), ("enable", "a", None), ("soak", "a", 8)]
    kill = (
        f"timeout 20 sh -c 'until systemctl -q is-active {unit('a')} && grep -q v2 "
        f"/etc/systemd/system/{unit('a')}.service; do sleep 0.1; done'; sleep {1 if moment == 'wait' else 5}; "
        "kill -9 $(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' /var/lib/aimesh/host.lock)"
    )
    subprocess.run(["docker", "exec", "-d", host.modules.container, "sh", "-c", kill], check=True)
    with pytest.raises(AssertionError, match="no JSON"):
        host.perform(broken, *steps)
    found = host.observe(*slots)
    assert found["saved_slots"] == [unit("a"), unit("b")]
    assert (found["units"][unit("a")]["recorded"] is None) == (moment == "wait")
    host.done(slots, *REPLACE[2:])
    seen = caller.result()
    assert seen["failed"] == 0 and seen["versions"][-1] == "v2", seen
    assert host.observe(*slots)["saved_slots"] == []

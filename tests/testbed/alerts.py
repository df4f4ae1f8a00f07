"""What a deployed mesh's alert receiver knows, asked on its own host."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any, Protocol

SOAK_S = 60
DRILLS = "/var/lib/aimesh/drills"

TOKENS = {
    "systemd": "/etc/aimesh/credentials/alert_token",
    "compose": "/etc/aimesh/monitoring/alert-receiver/token",
    "kubernetes": "/run/secrets/mesh/alert_token",
}
"""Platform → where the receiver's own host, or its pod, has the token."""


class Shell(Protocol):
    """Where the alert receiver runs: its host, or its pod."""

    def run(self, script: str) -> str:
        """What a script prints."""


# The token is read on the host and shown nowhere.
_ASK = """
import pathlib, sys, urllib.request
request = urllib.request.Request(sys.argv[1],
    headers={'Authorization': 'Bearer ' + pathlib.Path(sys.argv[2]).read_text().strip()})
print(urllib.request.urlopen(request, timeout=5).read().decode())
"""


def receiver(vm: Shell, plan: dict[str, Any], path: str) -> list[Any]:
    """The answer's JSON documents, one a line."""
    part = next(part for part in plan["monitoring"]["parts"] if part["part"] == "alert-receiver")
    platform = plan["mesh"]["platform"]
    # A pod calls itself by no other name.
    bind = "127.0.0.1" if platform == "kubernetes" else part["bind"]
    words = (f"http://{bind}:{part['port']}{path}", TOKENS[platform])
    told = vm.run(f'python3 -I -c "{_ASK}" ' + " ".join(shlex.quote(word) for word in words))
    return [json.loads(line) for line in told.splitlines() if line]


def fired_during_soak(vm: Shell, plan: dict[str, Any], seconds: float = SOAK_S) -> list[str]:
    """Every alert that fires at some moment of the soak, and what is wrong with the Watchdog."""
    begun, found = time.time(), set()
    while True:
        (told,) = receiver(vm, plan, "/alerts")
        found |= {f"{alert['labels']['alertname']} of {alert['labels'].get('service')}" for alert in told["active"]}
        if time.time() - begun >= seconds:
            break
        time.sleep(5)
    watchdog = told["watchdog_received"] or 0
    return [*sorted(found), *([] if watchdog > begun - 120 else ["The Watchdog does not arrive"])]


def proof(vm: Shell) -> dict[str, Any]:
    """What the last alert drill has left."""
    document: dict[str, Any] = json.loads(vm.run(f"cat {DRILLS}/alerts.json"))
    return document


def wrong_with_registry_drill(vm: Shell, plan: dict[str, Any], held: dict[str, Any] | None = None) -> list[str]:
    """What is not as it should be of the drill that stopped the registry: verdict, order, labels and text."""
    held = held or proof(vm)
    if (held["verdict"], held["fault"]) != ("pass", "registry"):
        return [f"The last drill is {held['verdict']} of {held['fault']}: {held['message']}"]
    lines = receiver(vm, plan, f"/deliveries?since=0&drill={held['run_id']}")
    ours = [line for line in lines if line["labels"]["alertname"] == "ServiceDown"]
    ours = [line for line in ours if line["labels"]["service"] == "registry"][-2:]
    if [line["status"] for line in ours] != ["firing", "resolved"]:
        return [f"ServiceDown of registry arrived as {[line['status'] for line in ours]}"]
    labels, said = ours[0]["labels"], ours[0]["annotations"]
    wanted = {"severity": "critical", "team": "platform", "mesh": plan["mesh"]["name"], "drill": "true"}
    problems = [f"label {name} is {labels.get(name)}" for name, value in wanted.items() if labels.get(name) != value]
    if said["summary"] != "registry is down":
        problems.append(f"the summary is {said['summary']!r}")
    if not said["description"].startswith("No replica of registry in mesh "):
        problems.append(f"the description is {said['description']!r}")
    if not said["runbook_url"].endswith("/service-down.md"):
        problems.append(f"the runbook is {said['runbook_url']!r}")
    return problems


def hop_lines(held: dict[str, Any]) -> list[str]:
    """The seconds of each hop, for people."""
    return [f"{hop['name']:<45} {hop['seconds']:6.1f} s" for hop in held["hops"]]

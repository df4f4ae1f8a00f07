"""What a deploy that changes nothing costs, beside a play that only gathers facts and one builtin task per resource.

    python benchmarks/no_change.py [--rounds 5]

Method: one Debian 13 VM of the testbed carries `inventories/small`. The three runs take turns, `--rounds` times after
one warm-up; the median counts. CPU is that of the controller's process tree plus that of the whole VM during the run
(so the mesh's own idle load is in it, alike in all three). Quote ratios; seconds differ from machine to machine. The
play of builtin tasks is favoured: packages are one task, and what has no builtin module (release, cluster, logins,
database, units' readiness) or holds a secret's content is left out of it or checked for its mode only.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "collections")]

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import load_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import render_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import driver_state

from tests.testbed import Testbed, playbook
from tests.testbed.site import SMALLER_MACHINE, Site

HISTORY = ROOT / "benchmarks" / "history" / "no_change.json"
BUDGET_CALLS, BUDGET_CPU, BUDGET_WALL = 8, 0.08, 2.5


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float


def vm_cpu_s(container: str) -> float:
    """CPU seconds that the VM has used since it started (control groups v1 or v2)."""
    name = subprocess.run(
        ["docker", "inspect", "--format", "{{.Id}}", container], text=True, capture_output=True, check=True
    ).stdout.strip()
    old = Path(f"/sys/fs/cgroup/cpuacct/docker/{name}/cpuacct.usage")
    if old.exists():
        return int(old.read_text()) / 1e9
    for new in Path("/sys/fs/cgroup").glob(f"**/docker*{name}*/cpu.stat"):
        return int(new.read_text().split("usage_usec ")[1].split()[0]) / 1e6
    sys.exit("benchmark: cannot read the VM's CPU time from /sys/fs/cgroup")


def measure(site: Site, path: str) -> Cost:
    container = site.vms[0].container
    own, guest, started = os.times(), vm_cpu_s(container), time.monotonic()
    command = playbook.command(path, site.inventory, *SMALLER_MACHINE)
    environment = playbook.environment(site.env)
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)
    wall, after = time.monotonic() - started, os.times()
    if done.returncode:
        sys.exit(f"benchmark: {path} failed:\n{done.stdout[-3000:]}")
    controller = after.children_user + after.children_system - own.children_user - own.children_system
    return Cost(wall, controller + vm_cpu_s(container) - guest)


def builtin_tasks(site: Site) -> list[dict[str, Any]]:
    """One builtin task for each resource that has one."""
    host = site.vms[0].name
    plan = load_plan(ROOT / "build" / "small" / "plan.json")
    state = driver_state(plan, host)
    tasks: list[dict[str, Any]] = [{"ansible.builtin.apt": {"name": list(state.packages)}}]
    tasks += [{"ansible.builtin.group": {"name": group.name, "system": True}} for group in state.groups]
    tasks += [
        {"ansible.builtin.user": {"name": user.name, "group": user.group, "system": True}} for user in state.users
    ]
    for directory in state.directories:
        owner = {"owner": directory.owner, "group": directory.group, "mode": directory.mode}
        tasks.append({"ansible.builtin.file": {"path": directory.path, "state": "directory", **owner}})
    templates = ROOT / "roles" / "platform_systemd" / "templates"
    for file in render_files(state.files, plan, host, templates, None):
        owner = {"dest": file.path, "owner": file.owner, "group": file.group, "mode": file.mode}
        if file.content is None:
            tasks.append({"ansible.builtin.file": {"path": owner.pop("dest"), "state": "file", **owner}})
        else:
            tasks.append({"ansible.builtin.copy": {"content": file.content, **owner}})
    for unit in state.units:
        tasks.append({"ansible.builtin.systemd_service": {"name": unit.name, "enabled": True}})
    return [{"name": f"Resource {n}", **task} for n, task in enumerate(tasks, start=1)]


def write_play(path: Path, **play: Any) -> str:
    path.write_text(yaml.safe_dump([{"name": path.stem, "hosts": "mesh", **play}], sort_keys=False))
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of a deploy without changes, as ratios.")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds after one warm-up")
    rounds = parser.parse_args().rounds
    with Testbed(f"bench-{os.getpid()}") as bed, tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        site = Site("small", bed, scratch, {"192.0.2.10": bed.start("vm1")})
        first = site.deploy()
        if first.code:
            sys.exit(f"benchmark: the first deploy failed:\n{first.output[-3000:]}")
        calls = site.deploy("-vvv").remote_calls
        tasks = builtin_tasks(site)
        runs = {
            "deploy": "playbooks/deploy.yml",
            "facts only": write_play(scratch / "facts.yml", gather_facts=True),
            "builtin": write_play(scratch / "builtin.yml", gather_facts=False, tasks=tasks),
        }
        costs: dict[str, list[Cost]] = {name: [] for name in runs}
        for turn in range(rounds + 1):
            for name, path in runs.items():
                cost = measure(site, path)
                if turn:
                    costs[name].append(cost)
            print(f"round {turn} of {rounds} done", file=sys.stderr)
    wall = {name: statistics.median(cost.wall_s for cost in seen) for name, seen in costs.items()}
    cpu = {name: statistics.median(cost.cpu_s for cost in seen) for name, seen in costs.items()}
    print(f"{'run':<34} {'wall s':>8} {'CPU s':>8}")
    labels = {"builtin": f"one builtin task each ({len(tasks)})", "deploy": "deploy, nothing to change"}
    for name in runs:
        print(f"{labels.get(name, name):<34} {wall[name]:>8.2f} {cpu[name]:>8.2f}")
    ratios = {
        "remote_calls": calls,
        "cpu_to_builtin": round(cpu["deploy"] / cpu["builtin"], 3),
        "wall_to_facts": round(wall["deploy"] / wall["facts only"], 2),
    }
    print(f"remote calls {calls} (budget {BUDGET_CALLS})")
    print(f"CPU / builtin tasks {ratios['cpu_to_builtin']} (budget {BUDGET_CPU})")
    print(f"wall / facts only {ratios['wall_to_facts']} (budget {BUDGET_WALL})")
    keep = {"when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "rounds": rounds, **ratios}
    HISTORY.parent.mkdir(exist_ok=True)
    history = json.loads(HISTORY.read_text()) if HISTORY.exists() else []
    HISTORY.write_text(json.dumps([*history, keep | {"wall_s": wall, "cpu_s": cpu}], indent=1) + "\n")


if __name__ == "__main__":
    main()

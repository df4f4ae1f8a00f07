"""`python -m tests.testbed.gate GATE RUN INVENTORY VM…`: the steps of molecule that have to be able to fail.

Each gate runs a playbook, reads the run record and looks at the VM itself; it prints why it fails and exits 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import alerts, bulk_rows, disaster, footprint, playbook
from .bed import Testbed
from .command import TestbedError
from .paths import REPOSITORY
from .vm import Vm

MARKER = "molecule-keeps-data"
LOAD_MB = 1050
"""A little above what the database has to have before a disaster counts."""


@dataclass(frozen=True)
class Site:
    """The deployed site that a gate judges."""

    mesh: str
    inventory: Path
    vms: list[Vm]
    folder: Path
    """Where one gate leaves what a later one compares with."""
    deploy: str = "playbooks/deploy.yml"

    def starts(self) -> dict[str, str]:
        return {f"{vm.name} {unit}": start for vm in self.vms for unit, start in footprint.starts(vm).items()}

    def plan(self) -> dict[str, Any]:
        """The plan that the last run has written."""
        document: dict[str, Any] = json.loads((REPOSITORY / "build" / self.mesh / "plan.json").read_text())
        return document

    def vm(self, name: str) -> Vm:
        return next(vm for vm in self.vms if vm.name == name)

    def data_host(self) -> tuple[Vm, dict[str, Any]]:
        """The host of the database, and the plan."""
        plan = self.plan()
        return self.vm(plan["postgresql"]["host"]), plan


def succeeded(outcome: playbook.Outcome) -> list[str]:
    if outcome.code == 0 and outcome.record:
        return []
    tail = "\n".join(outcome.output.strip().splitlines()[-80:])
    return [f"ansible-playbook ended with exit code {outcome.code}; failed: {outcome.failed or 'no task'}\n{tail}"]


def check_bare(site: Site) -> list[str]:
    """`--check` on the bare host passes, predicts changes and makes none."""
    bare = {vm.name: footprint.footprint(vm) for vm in site.vms}
    (site.folder / "bare.json").write_text(json.dumps({name: each.as_lists() for name, each in bare.items()}))
    outcome = playbook.run(site.deploy, site.inventory, "--check", "--diff")
    problems = succeeded(outcome)
    if not problems and not outcome.changed:
        problems.append("--check on a bare host predicts no change, but everything is missing there.")
    for vm in site.vms:
        problems += [f"--check made {each} on {vm.name}" for each in footprint.footprint(vm).left_over(bare[vm.name])]
    return problems


def converge(site: Site) -> list[str]:
    """A deploy succeeds and leaves running units."""
    problems = succeeded(playbook.run(site.deploy, site.inventory))
    return problems or ([] if site.starts() else ["The deploy left no unit of the mesh running."])


def idempotence(site: Site) -> list[str]:
    """A second deploy changes nothing and restarts nothing."""
    before = site.starts()
    outcome = playbook.run(site.deploy, site.inventory)
    return [
        *succeeded(outcome),
        *([] if before else ["No unit of the mesh runs, so there is nothing to compare."]),
        *(f"The second deploy changed {each}" for each in outcome.changed),
        *(f"The second deploy restarted {each}" for each in footprint.restarts(before, site.starts())),
    ]


def check_diff(site: Site) -> list[str]:
    """`--check --diff` on the deployed host reports no change, and restarts nothing."""
    before = site.starts()
    outcome = playbook.run(site.deploy, site.inventory, "--check", "--diff")
    return [
        *succeeded(outcome),
        *(f"--check --diff reports a change: {each}" for each in outcome.changed),
        *(f"--check --diff restarted {each}" for each in footprint.restarts(before, site.starts())),
    ]


def verify(site: Site) -> list[str]:
    """The verifier proves the mesh, and has not merely nothing to say."""
    problems = succeeded(playbook.run("playbooks/verify.yml", site.inventory))
    if problems:
        return problems
    report = json.loads((REPOSITORY / "build" / site.mesh / "report.json").read_text())
    counts = report["counts"]
    if not counts["pass"] or counts["fail"] or counts["error"] or counts["skip"]:
        problems.append(f"The report counts {counts}.")
    return problems


def no_alert(site: Site) -> list[str]:
    """While all is well nothing fires, and the Watchdog arrives."""
    plan = site.plan()
    vm = site.vm(plan["monitoring"]["host"])
    return [f"While all is well: {each}" for each in alerts.fired_during_soak(vm, plan)]


def alert_drill(site: Site) -> list[str]:
    """The registry is stopped and started again; its alert arrives, with its labels and text, and ends."""
    wish = ("-e", "mesh_drill=alerts", "-e", "mesh_drill_fault=registry")
    problems = succeeded(playbook.run("playbooks/drill.yml", site.inventory, *wish))
    if problems:
        return problems
    plan = site.plan()
    vm = site.vm(plan["monitoring"]["host"])
    print("\n".join(alerts.hop_lines(alerts.proof(vm))))
    return alerts.wrong_with_registry_drill(vm, plan)


def gigabyte(site: Site) -> list[str]:
    """The database has more than 10⁹ bytes, all of them in a backup."""
    vm, plan = site.data_host()
    size = bulk_rows.fill(vm, plan, LOAD_MB)
    problems = [] if size >= 1e9 else [f"The database has only {size} bytes."]
    return problems + succeeded(playbook.run("playbooks/backup.yml", site.inventory, "-e", "mesh_backup_kind=full"))


def database_lost(site: Site) -> list[str]:
    """The database is killed and deleted under write load; it comes back with what callers had been promised."""
    vm, plan = site.data_host()
    problems: list[str] = []

    def restore() -> None:
        problems.extend(succeeded(playbook.run("playbooks/restore.yml", site.inventory)))

    held = disaster.happen(vm, plan, "under load", restore)
    if problems:
        return problems
    return held.problems


def remove_keeps_data(site: Site) -> list[str]:
    """A removal without confirmation stops the mesh and keeps its data."""
    plan = site.plan()
    _agents(site, plan, "POST", {"name": MARKER, "type": "chatbot", "vendor": "openai", "model": "gpt-4"})
    problems = succeeded(playbook.run("playbooks/destroy.yml", site.inventory))
    problems += [f"Still running after the removal: {unit}" for unit in site.starts()]
    database, redis = plan["postgresql"], plan["redis"]
    if not _listing(site.vm(database["host"]), f"{database['data_dir']}/PG_VERSION"):
        problems.append("The removal took the database's data without confirmation.")
    if not _listing(site.vm(redis["host"]), redis["data_dir"]):
        problems.append("The removal took Redis's data without confirmation.")
    return problems


def redeploy_adopts(site: Site) -> list[str]:
    """A deploy after a removal that kept the data goes on with that data."""
    problems = succeeded(playbook.run(site.deploy, site.inventory))
    if not problems and MARKER not in _agents(site, site.plan(), "GET"):
        problems.append(f"The agent {MARKER}, registered before the removal, is not in the mesh any more.")
    return problems


def remove_everything(site: Site) -> list[str]:
    """A removal with both confirmations leaves nothing behind."""
    confirmed = ("-e", f"mesh_remove_data={site.mesh}", "-e", f"mesh_remove_backups={site.mesh}")
    problems = succeeded(playbook.run("playbooks/destroy.yml", site.inventory, *confirmed))
    bare = json.loads((site.folder / "bare.json").read_text())
    for vm in site.vms:
        left = footprint.footprint(vm).left_over(footprint.Footprint.from_lists(bare[vm.name]))
        problems += [f"Left behind on {vm.name}: {each}" for each in left]
    return problems


GATES: dict[str, Callable[[Site], list[str]]] = {
    function.__name__: function
    for function in (
        check_bare,
        converge,
        idempotence,
        check_diff,
        verify,
        no_alert,
        alert_drill,
        gigabyte,
        database_lost,
        remove_keeps_data,
        redeploy_adopts,
        remove_everything,
    )
}


def _listing(vm: Vm, path: str) -> str:
    """Names at a path of the VM; empty when there is nothing."""
    return vm.run(f"ls -A '{path}' 2>/dev/null", check=False).strip()


# Runs on the VM with its own Python; the token is read there and shown nowhere.
_CALL = """
import json, sys, urllib.request
url, token_file, method = sys.argv[1:4]
body = json.dumps(json.loads(sys.argv[4])).encode() if len(sys.argv) > 4 else None
request = urllib.request.Request(url, data=body, method=method,
    headers={'Authorization': 'Bearer ' + open(token_file).read().strip(), 'Content-Type': 'application/json'})
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""


def _agents(site: Site, plan: dict[str, Any], method: str, body: dict[str, str] | None = None) -> str:
    """What the gateway answers to a call of its agents, asked on its own host."""
    gateway = next(endpoint for endpoint in plan["endpoints"] if endpoint["service"] == "api-gateway")
    url = f"http://127.0.0.1:{gateway['port']}/api/v1/agents"
    token_file = f"{plan['mesh']['paths']['config']}/credentials/service_token"
    words = [url, token_file, method, *([json.dumps(body)] if body else [])]
    return site.vm(gateway["host"]).run(f'python3 -I -c "{_CALL}" ' + " ".join(f"'{word}'" for word in words))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed.gate", description=__doc__)
    parser.add_argument("gate", choices=GATES)
    parser.add_argument("run", help="name of the testbed's run")
    parser.add_argument("inventory", type=Path)
    parser.add_argument("vms", nargs="+", help="the run's VMs")
    parser.add_argument("--mesh", default="molecule", help="name of the mesh")
    parser.add_argument("--deploy", default=Site.deploy, help="the playbook that deploys")
    arguments = parser.parse_args()
    bed = Testbed(arguments.run)
    try:
        vms = [bed.existing(name) for name in arguments.vms]
        site = Site(arguments.mesh, arguments.inventory, vms, bed.folder, arguments.deploy)
        problems = GATES[arguments.gate](site)
    except TestbedError as error:
        problems = [str(error)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

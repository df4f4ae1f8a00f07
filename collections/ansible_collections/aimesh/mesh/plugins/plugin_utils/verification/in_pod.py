"""The verification as a program in a pod of the mesh's own namespace: `python -m … --namespace NAME --mesh NAME …`.

It judges by the applied plan of the state home, prints the table and, as the last line, the report behind MARK, and
ends with the exit code of `bin/mesh-verify`. The API server and its login are those that the cluster gives to a pod.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.observing import answer_in_cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import read_state, state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.verification_job import MARK
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.verification_rights import needed_rules, refused
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.engine import answer_all
from ansible_collections.aimesh.mesh.plugins.module_utils.state_home import PLAN_NAME
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import cluster_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, PlanError, check_schema, public_urls
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.conclusion import conclude
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.needs import secrets_needed
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.passes import (
    PassError,
    asks_more,
    new_run,
    one_pass,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import NOT_CHECKED, Report
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.run_folder import CONTROLLER, RunFolder
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.terminal import table

ROOT = Path(__file__).resolve().parents[7]
"""The folder with the collections, the checks and the claims."""


class VerificationError(Exception):
    """The mesh cannot be verified from here; the message is one sentence."""


def main(words: Sequence[str]) -> int:
    options = _options(words)
    try:
        report = verify(Cluster.of({"namespace": options.namespace}), options)
    except (ClusterError, PassError, PlanError, StateFileError, VerificationError) as error:
        print(f"verification: not checked: {error}", flush=True)
        return NOT_CHECKED
    print(MARK + json.dumps(report.as_dict(), separators=(",", ":")), flush=True)
    return report.exit_code


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="verification", description="Prove that the mesh of this namespace works.")
    parser.add_argument("--namespace", required=True, help="namespace of the mesh")
    parser.add_argument("--mesh", required=True, help="name of the mesh")
    parser.add_argument("--service", action="append", default=[], help="a Service that checks ask for; may be repeated")
    parser.add_argument("--credentials", type=Path, required=True, help="folder with a file for each secret")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for what a run keeps meanwhile")
    parser.add_argument("--wanted", type=Path, help="file with the plan that an inventory gives now")
    parser.add_argument("--run-id", default="", help="id of the run")
    parser.add_argument("--only", default="", help="areas, with commas between them")
    return parser.parse_args(words)


def verify(cluster: Cluster, options: argparse.Namespace) -> Report:
    """The report of a verification, whose table is printed.

    Raises ClusterError, PassError, PlanError, StateFileError, VerificationError.
    """
    rules = needed_rules(options.mesh, options.service)
    missing = refused(cluster, rules)
    if missing:
        raise VerificationError(
            f"the service account of this pod may not {', '.join(missing)} in the namespace {cluster.namespace}; "
            "a deploy gives its Role what the checks need."
        )
    applied = _applied(cluster, options.mesh)
    wanted = _wanted(options.wanted) if options.wanted else applied
    home = options.scratch / options.mesh
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan_file = home / "plan.json"
    plan_file.write_text(json.dumps(wanted), encoding="utf-8")
    run_id = options.run_id or f"{datetime.now(UTC):%Y%m%dt%H%M%Sz}-{secrets.token_hex(3)}"
    only = [area for area in options.only.split(",") if area]
    folder = new_run(plan_file, run_id, only, inventory=bool(options.wanted))
    one_pass(folder, ROOT)
    while asks_more(folder):
        for host in folder.asked_hosts():
            _answer(folder, host, cluster, wanted, options.credentials)
        one_pass(folder, ROOT)
    report = conclude(wanted, folder.context, folder.results, ROOT / "claims.yml", time.time())
    print(table(report, public_urls(applied), Path("the last line of this log"), colour=False), flush=True)
    return report


def _applied(cluster: Cluster, mesh: str) -> Plan:
    kept = read_state(cluster, state_map_name(mesh)).get(PLAN_NAME)
    if kept is None:
        raise VerificationError(f"the state home of {mesh} has no applied plan, so nothing was deployed; deploy first.")
    try:
        return check_schema(json.loads(kept), "The applied plan")
    except ValueError as error:
        raise VerificationError(f"the applied plan of {mesh} is not readable: {error}") from None


def _wanted(path: Path) -> Plan:
    try:
        return check_schema(json.loads(path.read_text(encoding="utf-8")), "The plan of the inventory")
    except (OSError, ValueError) as error:
        raise VerificationError(f"the plan of the inventory is not readable: {error}") from None


def _answer(folder: RunFolder, host: str, cluster: Cluster, plan: Plan, credentials: Path) -> None:
    questions = folder.questions(host)
    if not questions:
        return
    values = mounted(credentials, secrets_needed(questions.values()))
    timeout = float(plan["verify"]["probe_timeout_s"])
    if host == CONTROLLER:
        # What the edge offers is asked from here, as a client sees it.
        folder.add_answers(host, answer_all(questions, values, timeout))
        return
    try:
        answers: dict[str, Any] = answer_in_cluster(
            cluster, cluster_arguments(plan)["where"], questions, values, timeout
        )
    except (ClusterError, StateFileError) as error:
        folder.give_up(host, str(error))
        return
    folder.add_answers(host, answers)


def mounted(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Secrets by name, as far as the folder has their files; what is missing is said, and its checks are not made."""
    found = {name: (folder / name).read_text(encoding="utf-8") for name in names if (folder / name).is_file()}
    missing = sorted(set(names) - set(found))
    if missing:
        print(f"Checks that need the secrets {', '.join(missing)} cannot be made: {folder} has no such files.")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

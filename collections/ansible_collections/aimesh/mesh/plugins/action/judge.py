"""`aimesh.mesh.judge`: lets the checks look at what was answered so far, and writes the report when all is known."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.color import ANSIBLE_COLOR
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.engine import answer_all
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError, load_plan, public_urls
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.run_plan import plan_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.repository import repository_root
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import SecretStoreError, resolve_secrets
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.conclusion import conclude, write_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.needs import secrets_needed
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import Report
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.run_folder import CONTROLLER, RunFolder
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.terminal import table

ROUNDS = 4
PASS_TIMEOUT_S = 300


class JudgeError(Exception):
    """The checks cannot be run; the message is one sentence."""


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        result |= {"changed": False, "unanswered": False}
        if self._task.check_mode:
            return result | {
                "skipped": True,
                "skip_reason": "In check mode nothing was deployed, so nothing is judged.",
            }
        self._repository = repository_root(str(variables.get("playbook_dir", ".")))
        try:
            folder = self._folder(variables)
            self._one_pass(folder)
            return result | self._after_pass(folder, variables)
        except (JudgeError, PlanError) as error:
            return result | {"failed": True, "msg": str(error)}

    def _folder(self, variables: dict[str, Any]) -> RunFolder:
        given = self._task.args.get("folder")
        if given:
            return RunFolder(Path(str(given)))
        plan_path = self._plan_path(variables)
        load_plan(plan_path)
        now = datetime.now(UTC)
        run_id = os.environ.get("AIMESH_VERIFY_RUN_ID") or f"{now:%Y%m%dt%H%M%Sz}-{secrets.token_hex(3)}"
        only = [area for area in os.environ.get("AIMESH_VERIFY_ONLY", "").split(",") if area]
        context = {"plan": str(plan_path), "run_id": run_id, "only": only, "round": 0}
        context |= {"started": now.isoformat(timespec="seconds"), "started_s": time.time()}
        return RunFolder.create(plan_path.parent / "verify", run_id, context)

    def _plan_path(self, variables: dict[str, Any]) -> Path:
        build_dir = self._task.args.get("build_dir")
        if build_dir:
            return plan_file(Path(str(build_dir)))
        name = str(self._templar.template(variables.get("mesh_name", "")))
        if not name:
            raise JudgeError(
                "The variable mesh_name is not set, so there is no plan to judge by; set it in the inventory."
            )
        return plan_file(Path(self._repository) / "build" / name)

    def _one_pass(self, folder: RunFolder) -> None:
        """Every check once, in a process of its own: pytest changes too much of the one that it runs in."""
        context = folder.context
        folder.write("context.json", context | {"round": context["round"] + 1})
        (folder.path / "results.json").unlink(missing_ok=True)
        harness = self._repository / "tests" / "verification"
        argv = [sys.executable, "-m", "pytest", "-c", str(harness / "pytest.ini"), f"--mesh-run={folder.path}"]
        environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
        try:
            ended = subprocess.run(
                [*argv, str(harness / "checks")],
                cwd=harness,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PASS_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise JudgeError(f"The checks did not end within {PASS_TIMEOUT_S} s.") from None
        if ended.returncode != 0 or not (folder.path / "results.json").exists():
            told = (ended.stdout + ended.stderr).strip().splitlines()[-12:]
            raise JudgeError(f"The checks cannot be run (pytest ended with {ended.returncode}): " + "\n".join(told))

    def _after_pass(self, folder: RunFolder, variables: dict[str, Any]) -> dict[str, Any]:
        results, context = folder.results, folder.context
        unknown = sorted(set(context["only"]) - set(results["areas"]))
        if unknown:
            raise JudgeError(f"There are no checks of {', '.join(unknown)}; areas are {', '.join(results['areas'])}.")
        hosts = folder.asked_hosts()
        absent = [
            host for host in hosts if host != CONTROLLER and host not in (variables.get("ansible_play_hosts_all") or [])
        ]
        for host in absent:
            folder.give_up(
                host,
                "it is in the applied plan, and not among the hosts of this run; --limit, or gone from the inventory",
            )
        if hosts and context["round"] < ROUNDS:
            self._answer_for_controller(folder, variables)
            return {"folder": str(folder.path), "unanswered": True, "round": context["round"]}
        return self._finish(folder)

    def _answer_for_controller(self, folder: RunFolder, variables: dict[str, Any]) -> None:
        questions = folder.questions(CONTROLLER)
        if not questions:
            return
        plan = load_plan(folder.context["plan"])
        try:
            values = resolve_secrets(
                plan, secrets_needed(questions.values()), self._loader, variables.get("inventory_dir")
            )
        except SecretStoreError:
            values = {}
        folder.add_answers(CONTROLLER, answer_all(questions, values, float(plan["verify"]["probe_timeout_s"])))

    def _finish(self, folder: RunFolder) -> dict[str, Any]:
        context = folder.context
        plan = load_plan(context["plan"])
        report = conclude(plan, context, folder.results, self._repository / "claims.yml", time.time())
        path = write_files(report, Path(context["plan"]).parent, partial=bool(context["only"]))
        self._display.display(table(report, public_urls(plan), path, colour=bool(ANSIBLE_COLOR)))
        return {
            "report": str(path),
            "exit_code": report.exit_code,
            "failed": report.exit_code != 0,
            "msg": _sentence(report, path),
            "ansible_stats": {"data": _stats(report, path), "per_host": False, "aggregate": True},
        }


def _sentence(report: Report, path: Path) -> str:
    counts = report.counts
    if report.exit_code == 0:
        return f"All {counts['pass']} checks passed."
    unchecked = counts["error"] + counts["skip"]
    return f"{counts['fail']} checks failed and {unchecked} could not be made; each is named above and in {path}."


def _stats(report: Report, path: Path) -> dict[str, Any]:
    return {
        "mesh_verification": {
            "run_id": report.run_id,
            "exit_code": report.exit_code,
            "planned": report.planned,
            "counts": report.counts,
            "report": str(path),
        }
    }

"""`aimesh.mesh.judge`: lets the checks look at what was answered so far, and writes the report when all is known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.engine import answer_all
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError, load_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.run_plan import plan_file
from ansible_collections.aimesh.mesh.plugins.plugin_utils.repository import repository_root
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import SecretStoreError, resolve_secrets
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.conclusion import conclude
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.ending import ended
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.needs import secrets_needed
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.passes import (
    PassError,
    asked_for,
    asks_more,
    new_run,
    one_pass,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.run_folder import CONTROLLER, RunFolder


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
            one_pass(folder, self._repository)
            return result | self._after_pass(folder, variables)
        except (JudgeError, PassError, PlanError) as error:
            return result | {"failed": True, "msg": str(error)}

    def _folder(self, variables: dict[str, Any]) -> RunFolder:
        given = self._task.args.get("folder")
        if given:
            return RunFolder(Path(str(given)))
        plan_path = self._plan_path(variables)
        load_plan(plan_path)
        return new_run(plan_path, *asked_for())

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

    def _after_pass(self, folder: RunFolder, variables: dict[str, Any]) -> dict[str, Any]:
        hosts = folder.asked_hosts()
        absent = [
            host for host in hosts if host != CONTROLLER and host not in (variables.get("ansible_play_hosts_all") or [])
        ]
        for host in absent:
            folder.give_up(
                host,
                "it is in the applied plan, and not among the hosts of this run; --limit, or gone from the inventory",
            )
        if asks_more(folder):
            self._answer_for_controller(folder, variables)
            return {"folder": str(folder.path), "unanswered": True, "round": folder.context["round"]}
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
        home = Path(context["plan"]).parent
        return ended(report, plan, home, self._display.display, partial=bool(context["only"]))

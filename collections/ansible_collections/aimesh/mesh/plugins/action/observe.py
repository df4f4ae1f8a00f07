"""Controller half of `aimesh.mesh.observe`: takes the open questions of a host, brings back its answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.backup_probe import ESCROW_DIGEST
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.escrow import escrow_digest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import cluster_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError, load_plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import (
    MissingSecretError,
    SecretStoreError,
    open_store_of,
    resolve_secrets,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.needs import secrets_needed
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.run_folder import RunFolder

NOT_GENERATED = "they are not in the secret store; a deploy generates them."


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        host = str(variables["inventory_hostname"])
        folder = RunFolder(Path(str(self._task.args["folder"])))
        questions = folder.questions(host)
        result |= {"changed": False, "answered": 0, "remote_calls": 0}
        if not questions:
            return result | {"skipped": True, "skip_reason": "No check asks anything more of this host."}
        try:
            plan = load_plan(folder.context["plan"])
            args = {
                "questions": questions,
                "secrets": self._secrets(plan, questions, variables),
                "timeout": float(plan["verify"]["probe_timeout_s"]),
                **cluster_arguments(plan),
            }
        except PlanError as error:
            return result | {"failed": True, "msg": str(error)}
        started = time.monotonic()
        try:
            seen = self._execute_module(module_name="aimesh.mesh.observe", module_args=args, task_vars=variables)
        except AnsibleConnectionFailure as error:
            return result | self._given_up(folder, host, _first_line(str(error)), started)
        except AnsibleError as error:
            return result | self._given_up(folder, host, _first_line(str(error)), started)
        result["remote_calls"] = 1
        if "answers" not in seen:
            reason = str(seen.get("msg") or seen.get("module_stderr") or "the probe module gave no result")
            return result | self._given_up(folder, host, _first_line(reason), started)
        folder.add_answers(host, seen["answers"])
        return result | {"answered": len(seen["answers"])}

    def _secrets(self, plan: dict[str, Any], questions: dict[str, Any], variables: dict[str, Any]) -> dict[str, str]:
        """Each secret by itself: one that is missing makes its own probes say so, not all of them."""
        values: dict[str, str] = {}
        missing: dict[str, list[str]] = {}
        for name in secrets_needed(questions.values()):
            try:
                values |= self._values(plan, name, variables.get("inventory_dir"))
            except SecretStoreError as error:
                absent = isinstance(error, MissingSecretError)
                missing.setdefault(NOT_GENERATED if absent else str(error), []).append(name)
        for reason, names in missing.items():
            self._display.warning(f"Checks that need the secrets {', '.join(names)} cannot be made: {reason}")
        return values

    def _values(self, plan: dict[str, Any], name: str, inventory_dir: str | None) -> dict[str, str]:
        if name != ESCROW_DIGEST:
            return resolve_secrets(plan, [name], self._loader, inventory_dir)
        store = open_store_of(plan, self._loader, inventory_dir)
        return {name: escrow_digest(store, plan["backup"].get("recipients", []))}

    def _given_up(self, folder: RunFolder, host: str, reason: str, started: float) -> dict[str, Any]:
        folder.give_up(host, reason)
        waited = time.monotonic() - started
        self._display.warning(f"{host} cannot be observed, given up after {waited:.0f} s: {reason}")
        return {"skipped": True, "skip_reason": f"not reached: {reason}", "remote_calls": 1}


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines)[:300] if lines else "no reason given"

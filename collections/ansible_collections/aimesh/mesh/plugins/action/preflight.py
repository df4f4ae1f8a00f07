"""Controller half of `aimesh.mesh.preflight`: asks a host, or judges what all of them answered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.cluster_action import preflight_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import in_cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import parts_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    Plan,
    endpoints_on,
    postgresql_host,
    published_at,
    redis_host,
    slots_on,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.preflight_verdict import Verdict, judge, table
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, SliceError


def planned_ports(plan: Plan, host: str) -> list[dict[str, Any]]:
    """Address, port and purpose of everything that will listen on a host, each address and port once."""
    found: dict[tuple[str, int], str] = {}
    listeners = [(instance, instance["id"]) for instance in slots_on(plan, host)]
    listeners += [(endpoint, f"the endpoint of {endpoint['service']}") for endpoint in endpoints_on(plan, host)]
    listeners += [(plan[name], name) for name in ("postgresql", "redis") if plan[name]["host"] == host]
    listeners += [(part, part["part"]) for part in parts_on(plan, host)]
    monitoring = plan.get("monitoring")
    if monitoring and monitoring["grafana"] and monitoring["host"] == host:
        listeners.append((monitoring["grafana"], "grafana"))
    for listener, purpose in listeners:
        for address in published_at(listener):
            found.setdefault((address, listener["port"]), purpose)
    return [{"address": address, "port": port, "purpose": purpose} for (address, port), purpose in found.items()]


def data_paths(plan: Plan, host: str) -> list[str]:
    """Folders of a host that fill up with data."""
    found = [plan["mesh"]["paths"]["state"]]
    for name, where in (("postgresql", postgresql_host(plan)), ("redis", redis_host(plan))):
        if where == host:
            found.append(plan[name]["data_dir"])
    kept = plan["monitoring"]["data_dirs"] if plan.get("monitoring") else {}
    return found + [kept[part["part"]] for part in parts_on(plan, host) if part["part"] in kept]


class ActionModule(SliceAction):
    module = "aimesh.mesh.preflight"
    options: ClassVar[frozenset[str]] = frozenset({"verdict", "results"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        if self._is_verdict() or in_cluster(part.plan):
            return {}
        state, plan, host = part.state, part.plan, part.host
        units = [unit.name for unit in state.units]
        units += [slot["unit"] for slot in slots_on(plan, host) if slot["unit"] not in units]
        if state.postgresql is not None and state.postgresql.unit:
            units.append(state.postgresql.unit)
        paths = data_paths(plan, host)
        return {
            "paths": paths,
            "ports": planned_ports(plan, host),
            "own_units": units,
            "own_project": state.project.name if state.project is not None else "",
            "own_paths": sorted({*plan["mesh"]["paths"].values(), *paths}),
        }

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        if not self._is_verdict():
            return self._of_cluster(part) if in_cluster(part.plan) else super().perform(part, args)
        verdict = judge(part.plan, self._answers(part))
        shown = {"changed": False, "shortfalls": [asdict(shortfall) for shortfall in verdict.shortfalls]}
        return shown | _said(part.plan, verdict)

    def _of_cluster(self, part: Slice) -> dict[str, Any]:
        return self.call(preflight_arguments(part), "aimesh.mesh.k8s_preflight")

    def _is_verdict(self) -> bool:
        try:
            return boolean(self._task.args.get("verdict", False))
        except TypeError as error:
            raise SliceError(f"The option verdict is not yes or no: {error}.") from None

    def _answers(self, part: Slice) -> dict[str, Any]:
        """What each host answered, from the variable that its task registered."""
        name, hostvars = str(self._task.args.get("results", "_preflight")), self._task_vars["hostvars"]
        found = {}
        for host in part.plan["hosts"]:
            answer = hostvars[host].get(name) if host in hostvars else None
            if isinstance(answer, dict) and "host" in answer:
                found[host] = answer
        if not found:
            raise SliceError(f"No host has answered the preflight: register its result as {name} on every host first.")
        return found


def _said(plan: Plan, verdict: Verdict) -> dict[str, Any]:
    """The verdict as a result: an error, warnings, or neither."""
    strict = plan["mesh"]["preflight"] == "strict"
    parts = list(verdict.problems)
    warnings = []
    if verdict.shortfalls:
        (parts if strict else warnings).append(table(plan, verdict.shortfalls))
    if verdict.unseen:
        warnings.append(
            f"Minima of the mesh are not judged: {', '.join(verdict.unseen)} did not take part in this run."
        )
    result: dict[str, Any] = {"warnings": warnings} if warnings else {}
    if parts:
        result |= {"failed": True, "msg": "\n".join(parts)}
    return result

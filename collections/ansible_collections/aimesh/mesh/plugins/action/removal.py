"""Controller half of aimesh.mesh.removal: from the plan where things are, from the operator what may go."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceAction, driver_of


class ActionModule(SliceAction):
    module = "aimesh.mesh.removal"
    options: ClassVar[frozenset[str]] = frozenset({"remove_data", "remove_backups", "plan_only"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        mesh, state = part.plan["mesh"], part.state
        paths = mesh["paths"]
        stores = {reference["store"] for reference in part.plan["secrets"].values()}
        args: dict[str, Any] = {
            "mesh_name": mesh["name"],
            "remove_data": self._word("remove_data"),
            "remove_backups": self._word("remove_backups"),
            "plan_only": boolean(self._task.args.get("plan_only", False)),
            "units": [unit.name for unit in state.units],
            "systemd": state.supervisor == "systemd",
            "project": state.project.name if state.project is not None else "",
            "releases": paths["releases"],
            "backups": [*backup_points(part), *backup_root(part)],
            "volatile": [paths["logs"], paths["run"]],
            "secret_store": f"{paths['state']}/secrets.json" if "file" in stores else "",
        }
        cluster = state.postgresql
        if cluster is not None and cluster.manager == "debian":
            args["cluster"] = {"version": cluster.version, "name": cluster.name, "data_dir": cluster.data_dir}
        return args

    def _word(self, name: str) -> str:
        """What the operator typed: the task's argument, else the variable mesh_<name>."""
        given = self._task.args.get(name)
        return str(given) if given else self._variable(f"mesh_{name}")


def backup_root(part: Slice) -> list[str]:
    """Where repositories, dumps and archives are, on the host that makes them."""
    backup = part.plan["backup"]
    return [str(backup["root"])] if backup["engine"] and backup["host"] == part.host else []


def backup_points(part: Slice) -> list[str]:
    """Where the platform's rollouts leave dumps of the database."""
    driver = driver_of(part.plan)
    return [driver.rollout(part.plan).backup_dir] if hasattr(driver, "rollout") else []

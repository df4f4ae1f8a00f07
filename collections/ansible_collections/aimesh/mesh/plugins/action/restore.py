"""Controller half of `aimesh.mesh.restore`: which host does what, out of the plan."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.aimesh.mesh.plugins.action.postgresql import cluster_args
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import archives
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import STOP_MARGIN_S
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import in_cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.restoring import MODULE, call_arguments
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import (
    Slice,
    SliceAction,
    SliceError,
    driver_of,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.unit_options import container_args

STOP = "stop"


class ActionModule(SliceAction):
    module = "aimesh.mesh.restore"
    options: ClassVar[frozenset[str]] = frozenset({"verb"})

    def module_args(self, part: Slice) -> dict[str, Any] | None:
        plan, verb = part.plan, self._task.args.get("verb")
        if not archives(plan):
            raise SliceError(
                "This mesh has no repository to restore from: mesh_backup.engine is "
                f"{plan['backup']['engine'] or 'none'}; set it to pgbackrest, as it was when the backups were made."
            )
        if in_cluster(plan):
            return call_arguments(part, str(verb))
        if verb == STOP:
            return self._stop_args(part)
        cluster = part.state.postgresql
        if cluster is None:
            return None
        # Logins come back with the data; the deploy that follows holds them against the store.
        args = cluster_args(cluster, passwords={})
        containers: dict[str, Any] = {}
        if cluster.container is not None and part.state.project is not None:
            args["container"] |= {"project": part.state.project.name, "folder": part.state.project.folder}
            containers = {cluster.unit: container_args(cluster.container)}
        wishes = plan["wishes"]
        return {
            "verb": verb,
            "mesh": plan["mesh"]["name"],
            "cluster": args,
            "target": wishes["restore_to"],
            "repository": wishes["restore_repository"],
            "confirmed": wishes["restore_overwrite"] == plan["mesh"]["name"],
            "supervisor": part.state.supervisor,
            "containers": containers,
        }

    def perform(self, part: Slice, args: dict[str, Any]) -> dict[str, Any]:
        module = MODULE if in_cluster(part.plan) else ""
        return self.call(part.common_args() | args, module)

    def _stop_args(self, part: Slice) -> dict[str, Any] | None:
        """Every slot of a service, and what has to run again before they start."""
        plan = part.plan
        slots = [each for each in (*plan["instances"], *plan["spares"]) if each["host"] == part.host]
        if not slots:
            return None
        margin = {name: service["drain_s"] + STOP_MARGIN_S for name, service in plan["services"].items()}
        containers = {unit.name: unit.container for unit in part.state.units if unit.container is not None}
        spares = [driver_of(plan).render_slot(plan, each).unit for each in plan["spares"] if each["host"] == part.host]
        containers |= {unit.name: unit.container for unit in spares if unit.container is not None}
        return {
            "verb": STOP,
            "units": [{"name": each["unit"], "stop_s": margin[each["service"]]} for each in slots],
            "oneshots": [unit.name for unit in part.state.units if unit.oneshot],
            "supervisor": part.state.supervisor,
            "containers": {name: container_args(each) for name, each in containers.items()},
        }

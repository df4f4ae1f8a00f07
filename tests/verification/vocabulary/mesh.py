"""The mesh as the plan says it should be, and the hosts it can be asked on."""

from __future__ import annotations

import importlib
import posixpath
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import HostState, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube import expected
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan import query
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.platforms import PLATFORMS, Platform

from vocabulary.answers import CONTROLLER, Answers
from vocabulary.check import Target
from vocabulary.host import ANY_ADDRESSES, ObservedHost
from vocabulary.outcome import NotCheckedError

Plan = dict[str, Any]
DRIVERS = "ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers"


@dataclass
class Mesh:
    """`plan` is what the mesh is judged by: the applied plan, or the wanted one while no applied plan is known."""

    wanted: Plan
    answers: Answers
    run_id: str
    applied: Plan | None = None
    only: frozenset[str] = frozenset()
    """Areas that the run is limited to; empty: all."""
    inventory: bool = True
    """Whether `wanted` is what an inventory gives; a Job by schedule has none, and takes the applied plan for it."""
    _hosts: dict[str, ObservedHost] = field(default_factory=dict)
    _states: dict[str, HostState] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.applied or self.wanted

    @property
    def platform(self) -> Platform:
        return PLATFORMS[str(self.plan["mesh"]["platform"])]

    @property
    def probe_timeout(self) -> float:
        return float(self.wanted["verify"]["probe_timeout_s"])

    @property
    def writes(self) -> bool:
        # The wish of today counts, not that of the last deploy.
        return bool(self.wanted["verify"]["writes"])

    def watches(self, area: str) -> bool:
        """Whether an area is part of the run. What the smoke tests write is always cleared away."""
        return not self.only or area in self.only or (area == "harness" and "smoke" in self.only)

    @property
    def namespace(self) -> str:
        return str(self.plan["verify"]["namespace"])

    @property
    def state_dir(self) -> str:
        return str(self.plan["mesh"]["paths"]["state"])

    @property
    def state_host(self) -> str:
        return str(self.plan["mesh"]["state_home"]["host"])

    @property
    def auth(self) -> bool:
        return self.plan["mesh"]["auth"] == "on"

    @property
    def controller(self) -> ObservedHost:
        return self.host(CONTROLLER)

    def host(self, name: str) -> ObservedHost:
        if name not in self._hosts:
            self._hosts[name] = ObservedHost(self, name)
        return self._hosts[name]

    def state_of(self, host: str) -> HostState:
        """The whole desired state of a host, from the driver. Raises NotCheckedError when the two do not fit."""
        if self.in_cluster:
            stores = tuple(Unit(name) for name in expected.bundled_stores(self.plan))
            return HostState(supervisor=self.platform.supervisor, units=stores)
        if host not in self._states:
            try:
                driver = importlib.import_module(f"{DRIVERS}.{self.plan['mesh']['platform']}")
                self._states[host] = driver.render(self.plan, host)
            except (ImportError, LookupError, TypeError, AttributeError, ValueError) as error:
                raise NotCheckedError(
                    f"not checked: the driver of this release cannot read the applied plan ({error}); deploy again"
                ) from None
        return self._states[host]

    def units(self, host: str) -> list[Unit]:
        """Long-running units of a host, PostgreSQL included wherever it is not one of the driver's own."""
        state = self.state_of(host)
        units = [unit for unit in state.units if not unit.oneshot]
        cluster = state.postgresql
        if cluster is not None:
            name = cluster.unit or f"postgresql@{cluster.version}-{cluster.name}"
            if name not in [unit.name for unit in units]:
                units.append(Unit(name, container=cluster.container))
        return units

    def units_on(self, host: str) -> list[str]:
        return [unit.name for unit in self.units(host)]

    def watched_paths(self, host: str) -> frozenset[str]:
        """Files and directories of a host that the plan says something about."""
        state = self.state_of(host)
        return frozenset([each.path for each in (*state.files, *state.package_files, *state.directories)])

    def supervisor_socket(self) -> str:
        return posixpath.join(str(self.plan["mesh"]["paths"]["run"]), self.platform.supervisor_socket)

    def project_on(self, host: str) -> str:
        """Name of the Compose project of a host. Raises NotCheckedError where the driver runs none."""
        project = self.state_of(host).project
        if project is None:
            raise NotCheckedError(f"not checked: the driver runs no containers on {host}")
        return project.name

    def container_vars(self, target: Target) -> dict[str, Any]:
        """What the driver puts into the Compose file of a container. Raises NotCheckedError where it has none."""
        if self.in_cluster:
            return expected.container(self.plan, target.subject)
        path = next((unit.container.files[-1] for unit in self.units(target.host)
                     if unit.name == target.unit and unit.container), None)  # fmt: skip
        for file in self.state_of(target.host).files:
            if file.path == path:
                return file.vars
        raise NotCheckedError(f"not checked: the driver renders no container {target.unit}")

    @property
    def outside(self) -> set[str]:
        """Stores that are none of the mesh's own: what it stores there is checked, and not how they are set."""
        return set(expected.STORES) - set(expected.bundled_stores(self.plan)) if self.in_cluster else set()

    @property
    def in_cluster(self) -> bool:
        """Whether an API server tells of the mesh, and hosts have nothing of it."""
        return self.platform.supervisor == "kubernetes"

    def instance_url(self, instance: dict[str, Any]) -> str:
        """Where an instance answers by itself, without what deals calls out to several of them."""
        if self.in_cluster:
            # A name of the harness for the pod that stands for the instance.
            return f"http://{instance['slot']}.{instance['service']}.pod:{instance['port']}"
        address = "127.0.0.1" if instance["bind"] in ANY_ADDRESSES else instance["bind"]
        return f"http://{address}:{instance['port']}"

    def callers_of(self, endpoint: dict[str, Any]) -> ObservedHost:
        """Who calls an endpoint: what the edge offers is called from outside."""
        inside = self.in_cluster and urlsplit(endpoint["url"]).hostname in expected.inside_names(
            self.plan, endpoint["service"]
        )
        return self.controller if endpoint["exposure"] == "edge" and not inside else self.host(endpoint["host"])

    @property
    def accepts_open_network(self) -> bool:
        """Whether the operator has said that the cluster does not enforce NetworkPolicies."""
        return self.wanted["verify"].get("policies") == "unenforced"

    def components(self) -> dict[str, dict[str, Any]]:
        """What runs in the cluster by the plan: container, its Python where it has one, and how its pods are named."""
        return expected.components(self.plan)

    def container_name(self, target: Target) -> str:
        """By what a container is known: its unit, or in a cluster the instance that its pod stands for."""
        return target.instance if self.in_cluster and target.data else target.unit

    def networks_on(self, target: Target) -> list[str]:
        """Names of the container networks that a container is in by the plan."""
        planned = self.container_vars(target)["networks"]
        return sorted(f"{self.project_on(target.host)}-{name}" for name in planned)

    def image_ids(self, host: str) -> dict[str, str]:
        """Reference → id of the images that the plan puts on a host; an empty id is known by its reference alone."""
        if self.in_cluster:
            return {each["reference"]: each["id"] for each in self.plan["release"]["images"].values()}
        return {image.reference: image.id for image in self.state_of(host).images}

    def postgresql_access(self, host: str) -> dict[str, Any]:
        if self.in_cluster:
            return expected.postgresql_access(self.plan)
        cluster = self.state_of(host).postgresql
        if cluster is None:
            raise NotCheckedError(f"not checked: the plan puts no PostgreSQL on {host}")
        return {
            "program": posixpath.join(cluster.bin_dir, "psql"),
            "run_as": cluster.run_as,
            "login": cluster.run_as,
            "socket_dir": cluster.socket_dir,
            "port": cluster.port,
            "database": cluster.database,
            **({"container": cluster.unit} if cluster.container else {}),
        }

    def redis_access(self, host: str, *, login: bool) -> dict[str, Any]:
        redis = self.plan["redis"]
        access = {"host": query.redis_address(self.plan, host), "port": redis["port"]}
        return access | ({"user": redis["user"], "password": "redis_password"} if login else {})

    def request(self, method: str, url: str, *, anonymous: bool = False, **more: Any) -> dict[str, Any]:
        """A request of the harness: marked with the run, so that the mesh keeps it out of its business metrics."""
        request = {"method": method, "url": url, "headers": {"X-Mesh-Verify": self.run_id}, **more}
        if self.auth and not anonymous:
            request["token"] = "verify_token"
        return request

    def endpoint_url(self, service: str, host: str) -> str:
        return query.endpoint_url(self.plan, service, host)

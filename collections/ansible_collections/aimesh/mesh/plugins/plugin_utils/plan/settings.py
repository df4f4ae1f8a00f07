"""From raw variables of hosts to checked settings: types, defaults, unknown names, one value for the whole site."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import HostInput, InventoryInput
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kinds import INVALID
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import (
    Origins,
    Problems,
    Where,
    closest,
    origin_of,
    shown,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import BY_NAME, VARIABLES, Variable


@dataclass(frozen=True)
class Settings:
    """Checked values: `site[name]`, `hosts[host][name]`. A refused or missing value is there as its default."""

    site: Mapping[str, Any]
    hosts: Mapping[str, Mapping[str, Any]]
    given: frozenset[str]
    """Site variables that the inventory sets."""
    origins: Origins

    def where(self, path: str) -> Where | None:
        return origin_of(path, self.origins)


def read_settings(inventory: InventoryInput, problems: Problems) -> Settings:
    """Check every `mesh_*` variable of every host of the mesh; what is wrong goes to `problems`."""
    for host in inventory.hosts:
        _check_names(host, problems)
    site_origins = _site_origins(inventory.hosts)
    at_site = problems.at(site_origins)
    site: dict[str, Any] = {}
    given: set[str] = set()
    for variable in VARIABLES:
        if variable.scope == "host":
            continue
        value, is_set = _site_value(variable, inventory.hosts, at_site)
        site[variable.name] = _checked(variable, value, at_site) if is_set else variable.default
        if is_set:
            given.add(variable.name)
        elif inventory.hosts and variable.required and not _unreadable(variable.name, inventory.hosts):
            at_site.say(
                variable.name,
                f"is not set; allowed: {variable.kind.allowed()}; set it for the group mesh, {variable.remedy}",
            )
    return Settings(
        site=site,
        hosts={host.name: _host_values(host, problems) for host in inventory.hosts},
        given=frozenset(given),
        origins=site_origins,
    )


def _check_names(host: HostInput, problems: Problems) -> None:
    here = problems.at(host.origins)
    for path, reason in host.unreadable.items():
        here.say(path, reason)
    for name in host.variables:
        if name not in BY_NAME:
            meant = closest(name, BY_NAME)
            hint = f"did you mean {meant}?" if meant else "remove it, or see docs/variables.md for those there are"
            here.say(name, f"is not a variable of aimesh; {hint}")


def _site_origins(hosts: tuple[HostInput, ...]) -> dict[str, Where]:
    merged: dict[str, Where] = {}
    for host in reversed(hosts):
        merged.update(host.origins)
    return merged


def _unreadable(name: str, hosts: tuple[HostInput, ...]) -> bool:
    return any(path.split(".")[0].split("[")[0] == name for host in hosts for path in host.unreadable)


def _is_set(variable: Variable, host: HostInput) -> bool:
    """Whether the host has a value; an empty one counts as unset where the variable has no default of its own."""
    if variable.name not in host.variables:
        return False
    return host.variables[variable.name] is not None or variable.required or variable.default is not None


def _site_value(variable: Variable, hosts: tuple[HostInput, ...], problems: Problems) -> tuple[Any, bool]:
    seen: dict[str, tuple[Any, str]] = {}
    for host in hosts:
        is_set = _is_set(variable, host)
        value = host.variables[variable.name] if is_set else None
        key = json.dumps(value, sort_keys=True, default=str) if is_set else ""
        seen.setdefault(key, (value, host.name))
    if len(seen) > 1 and not _unreadable(variable.name, hosts):
        found = [f"{shown(value) if key else 'unset'} on {host}" for key, (value, host) in seen.items()]
        problems.say(
            variable.name,
            f"differs between hosts ({', '.join(found)}); allowed: one value for the whole site; "
            "set it for the group mesh",
        )
    for key, (value, _) in seen.items():
        if key:
            return value, True
    return None, False


def _checked(variable: Variable, value: Any, problems: Problems) -> Any:
    checked = variable.kind.check(value, variable.name, problems, variable.remedy)
    return variable.default if checked is INVALID else checked


def _host_values(host: HostInput, problems: Problems) -> dict[str, Any]:
    here = problems.at(host.origins)
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        if variable.scope == "host":
            is_set = _is_set(variable, host)
            values[variable.name] = (
                _checked(variable, host.variables[variable.name], here) if is_set else variable.default
            )
    return values

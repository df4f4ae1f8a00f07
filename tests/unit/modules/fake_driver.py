"""A driver for the tests of the slice actions: what it renders is in the plan itself, below `fake`."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Directory, File, HostState, Release


def render(plan: dict[str, Any], host: str) -> HostState:
    wanted = plan["fake"]
    release = wanted.get("release")
    return HostState(
        directories=tuple(Directory(path, owner="", group="") for path in wanted.get("directories", [])),
        files=tuple(
            File(**options | {"secrets": tuple(options.get("secrets", ())), "owner": "", "group": ""})
            for options in wanted.get("files", [])
        ),
        release=Release(**release, owner="", group="") if release else None,
    )

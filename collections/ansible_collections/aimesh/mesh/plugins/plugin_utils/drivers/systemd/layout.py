"""Where things are on a VM, and how a unit file is written."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File

UNITS = "/etc/systemd/system"
PRESET = "/etc/systemd/system-preset/10-aimesh.preset"
USER = "aimesh"


def unit_path(name: str) -> str:
    """Path of the file of a unit, given without suffix."""
    return f"{UNITS}/{name}.service"


def unit_file(name: str, template: str, values: dict[str, Any]) -> File:
    return File(path=unit_path(name), template=template, vars=values)


def preset(units: tuple[str, ...]) -> File:
    """Debian enables a package's units when it is first installed; for these, systemd's preset says no.

    A package that was on the host before keeps its state.
    """
    lines = ["# The mesh runs these programs under units of its own.", *(f"disable {unit}" for unit in units)]
    return File(path=PRESET, text="\n".join(lines) + "\n")


def quoted(text: str) -> str:
    """A value for a quoted assignment in a unit file: systemd's own escapes and specifiers are taken literally."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")

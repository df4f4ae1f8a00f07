"""docs/variables.md, made from the specification of the public variables."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import size_profile
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kinds import Fields, Kind, MapOf
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import SIZES, VARIABLES, Variable

INTRODUCTION = """\
# Variables

Every public variable of an inventory. A site needs `mesh_name` and `mesh_size`; the rest has defaults, which the plan
in `build/<mesh_name>/plan.json` shows. A name that is not listed here is an error, and so is a value that is not
allowed: the plan refuses all of them at once, before anything is changed.

Variables of a *site* have one value for all its hosts; set them for the group `mesh`. Variables of a *host* may differ
from host to host. A *wish* is meant for one run, usually with `-e`; the applied plan remembers it.

This page is made by `make docs` from `plugin_utils/plan/variables.py`.
"""


def default_of(variable: Variable) -> str:
    """The default as an operator reads it."""
    if variable.required:
        return "none; it must be set"
    if variable.default_text:
        return variable.default_text
    if isinstance(variable.default, bool):
        return f"`{str(variable.default).lower()}`"
    if variable.default is None or variable.default == [] or variable.default == {}:
        return "none"
    return f"`{variable.default}`"


def keys_of(kind: Kind, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Keys of a mapping with what each allows, keys of inner mappings included."""
    if isinstance(kind, MapOf):
        yield from keys_of(kind.item, f"{prefix}<key>.")
    if isinstance(kind, Fields):
        for key, item in kind.fields.items():
            if isinstance(item, Fields):
                yield from keys_of(item, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", item.allowed()


def section(variable: Variable) -> str:
    lines = [f"### {variable.name}", "", variable.description, ""]
    keys = list(keys_of(variable.kind))
    allowed = variable.kind.allowed() if not keys or not isinstance(variable.kind, Fields) else "a mapping"
    if isinstance(variable.kind, MapOf) and keys:
        allowed = f"a mapping from {variable.kind.key_rule} to a mapping"
    lines += [f"- Allowed: {allowed}", f"- Default: {default_of(variable)}"]
    lines += [f"- Of a {variable.scope}", f"- Example: `{variable.name}: {variable.example}`", ""]
    if keys:
        lines += ["| key | allowed |", "|---|---|", *(f"| `{key}` | {text} |" for key, text in keys), ""]
    return "\n".join(lines)


def sizes() -> str:
    """The size profiles as a table, from the profiles themselves."""
    profiles = [size_profile(size) for size in SIZES]

    def row(title: str, cells: list[str]) -> str:
        return f"| {title} | {' | '.join(cells)} |"

    tuned = ("shared_buffers", "effective_cache_size", "work_mem", "max_connections")
    agents = [
        f"{p.agents['min']}+" if p.agents["max"] is None else f"{p.agents['min']}–{p.agents['max']}" for p in profiles
    ]
    rows = [
        row("", list(SIZES)),
        "|---|---|---|---|---|",
        row("agents", agents),
        row("vCPUs of the whole mesh, at least", [str(p.minima["vcpus"]) for p in profiles]),
        row("memory of the whole mesh, at least", [f"{p.minima['memory_mb'] // 1024} GB" for p in profiles]),
        row("disk of the whole mesh, at least", [f"{p.minima['disk_gb']} GB" for p in profiles]),
        row("replicas of a service", [str(p.services["registry"]["replicas"]) for p in profiles]),
        row("memory limit of the registry", [f"{p.services['registry']['memory_mb']} MB" for p in profiles]),
        *(row(f"PostgreSQL `{name}`", [p.postgresql["settings"][name] for p in profiles]) for name in tuned),
        row("PostgreSQL read replicas", [str(p.postgresql["replicas"]) for p in profiles]),
        row("Redis memory", [f"{p.redis['maxmemory_mb']} MB" for p in profiles]),
        row("Redis cluster mode", ["yes" if p.redis["cluster"] else "no" for p in profiles]),
    ]
    return "\n".join(["## Sizes", "", "What `mesh_size` sets, unless the inventory says otherwise.", "", *rows, ""])


def page() -> str:
    """The whole page, ending with one newline."""
    parts = [INTRODUCTION, sizes()]
    group = ""
    for variable in VARIABLES:
        if variable.group != group:
            group = variable.group
            parts.append(f"## {group}\n")
        parts.append(section(variable))
    return "\n".join(parts).rstrip("\n") + "\n"

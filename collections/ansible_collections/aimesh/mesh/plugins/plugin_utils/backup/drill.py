"""The plan → the restore drill, and its proof → what an operator reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import archives
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, PlanError, endpoints_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.text_table import text_table


def refusal(plan: Plan) -> str | None:
    """Why this plan has no restore drill, in one sentence; None when it has one."""
    if not archives(plan):
        return (
            "This mesh has no repository to restore from, so there is nothing to drill; set mesh_backup.engine to "
            "pgbackrest and run site.yml, then drill."
        )
    if not plan["verify"]["writes"]:
        return "mesh_verify_writes is false, and a restore drill looks for rows that it has written; set it to true."
    return None


def not_applied(plan: Plan, applied: Mapping[str, Any] | None) -> str | None:
    """Why the mesh is not the one of the plan, in one sentence; None when it is."""
    name = plan["mesh"]["name"]
    if applied is None:
        return f"The mesh {name} is not deployed yet; run site.yml, then drill."
    if applied.get("backup") != plan["backup"]:
        return (
            "The inventory says something else of backup than what is applied, and a drill is about what runs; run "
            "site.yml, then drill."
        )
    return None


def gateway_of(plan: Plan) -> str:
    """The URL at which callers write. Raises PlanError."""
    found = endpoints_of(plan, "api-gateway")
    if not found:
        raise PlanError("The plan has no endpoint of api-gateway, so no row can be written; start one, then drill.")
    return str(found[0]["url"])


def steps(plan: Plan) -> list[str]:
    """What the drill does, for people."""
    backup, moment = plan["backup"], plan["wishes"]["drill_moment"]
    when = (
        f"just before the next WAL segment would be archived (archive_timeout {backup['archive_timeout_s']} s)"
        if moment == "worst"
        else "at once"
    )
    return [
        f"1. controller: rows are written through {gateway_of(plan)} and each acknowledgement is noted",
        f"2. {backup['host']}: the disaster comes {when}; what is archived later does not count",
        f"3. {backup['host']}: the newest backup is restored into {backup['scratch']} and replays the archive, beside "
        "the live database, which nothing touches",
        f"4. {backup['host']}: the rows are looked for, the newest dump is restored into a database beside them, the "
        "scratch cluster is removed, the proof is kept",
    ]


def lines_of(proof: Mapping[str, Any]) -> list[str]:
    """The table of stages, and the verdict under it."""
    rows = [[name, f"{seconds:.1f}"] for name, seconds in proof["stages"].items()]
    table = text_table(["stage", "seconds"], rows, right=True) if rows else []
    if proof["message"]:
        return [*table, str(proof["message"])]
    dump = proof["dump"]
    return [
        *table,
        f"Restore drill ({proof['moment']}): passed. Time to recover {proof['rto_s']:.1f} s for "
        f"{proof['bytes'] / 1e6:.0f} MB; {proof['lost']} of {proof['acknowledged']} acknowledged rows lost, "
        f"{proof['rpo_s']:.1f} s.",
        f"A plain copy of the same files takes {proof['raw_copy_s']:.1f} s; a database twice as large would take "
        f"{proof['forecast']['rto_s']:.1f} s.",
        f"The dump {dump['path']} restores: {dump['rows']} rows in {dump['tables']} tables, in {dump['seconds']:.1f} s."
        if dump
        else "No dump was made yet, so none was restored; playbooks/backup.yml -e mesh_backup_kind=dump makes one.",
    ]

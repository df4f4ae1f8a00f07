"""How a verification ends: its report in files, on the terminal, and as the result of a task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.utils.color import ANSIBLE_COLOR
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, public_urls
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.conclusion import write_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import Report
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.terminal import table


def ended(report: Report, plan: Plan, folder: Path, display: Callable[[str], None], *, partial: bool) -> dict[str, Any]:
    """Leave the report in `folder` and on the terminal; the result of the task, which failed unless all is proven."""
    path = write_files(report, folder, partial=partial)
    display(table(report, public_urls(plan), path, colour=bool(ANSIBLE_COLOR)))
    return {
        "report": str(path),
        "exit_code": report.exit_code,
        "failed": report.exit_code != 0,
        "msg": _sentence(report, path),
        "ansible_stats": {"data": _stats(report, path), "per_host": False, "aggregate": True},
    }


def _sentence(report: Report, path: Path) -> str:
    counts = report.counts
    if report.exit_code == 0:
        return f"All {counts['pass']} checks passed."
    unchecked = counts["error"] + counts["skip"]
    return f"{counts['fail']} checks failed and {unchecked} could not be made; each is named above and in {path}."


def _stats(report: Report, path: Path) -> dict[str, Any]:
    return {
        "mesh_verification": {
            "run_id": report.run_id,
            "exit_code": report.exit_code,
            "planned": report.planned,
            "counts": report.counts,
            "report": str(path),
        }
    }

"""Results of the checks → report, and the report → files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.claims import (
    claims_of_check,
    read_claims,
    verdicts,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.html import page
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.junit import junit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import CheckResult, Report, completed


def conclude(
    plan: Mapping[str, Any], context: Mapping[str, Any], outcome: Mapping[str, Any], claims_path: Path, now: float
) -> Report:
    """The report of a run. `outcome` is what the last pass over the checks left, `now` seconds of the wall clock."""
    claims = read_claims(claims_path)
    rows = completed(outcome["planned"], outcome["results"], outcome["waiting"], context["round"])
    checks = tuple(
        CheckResult(
            claims=claims_of_check(claims, row["check"]),
            **{name: row[name] for name in ("id", "title", "status", "seconds", "host", "instance")},
            **{name: row[name] for name in ("expected", "actual", "hint")},
        )
        for row in rows
    )
    return Report(
        run_id=context["run_id"],
        mesh=plan["mesh"]["name"],
        platform=plan["mesh"]["platform"],
        size=plan["mesh"]["size"],
        version=outcome["release"],
        started=context["started"],
        duration_s=now - context["started_s"],
        planned=len(outcome["planned"]),
        checks=checks,
        claims=verdicts(claims, checks),
        rollout=outcome.get("rollout"),
    )


def write_files(report: Report, folder: Path, *, partial: bool) -> Path:
    """`report.json`, `.xml` and `.html` in the folder; `report-only.*` for a run that was limited to some areas.

    Returns the path of the page. The JSON comes last, so that whoever waits for it finds the others.
    """
    stem = "report-only" if partial else "report"
    _write(folder / f"{stem}.xml", junit(report))
    _write(folder / f"{stem}.html", page(report).encode())
    text = json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n"
    _write(folder / f"{stem}.json", text.encode())
    return folder / f"{stem}.html"


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)

"""What the mesh knows of itself on each host: the applied plan and the history of releases."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, read_json, write_json

PLAN_NAME = "applied-plan.json"
PLAN_SCHEMA = 1
HISTORY_SCHEMA = 1
HISTORY_LENGTH = 50
PLANS = "plans"
PLANS_KEPT = 10
"""Whole plans that a rollback can go back to, where the state home keeps them."""


@dataclass(frozen=True)
class Author:
    """Who applied a plan, in which run."""

    run_id: str
    operator: str
    verb: str


def plan_path(state_dir: str) -> str:
    return str(Path(state_dir) / PLAN_NAME)


def history_path(state_dir: str) -> str:
    return str(Path(state_dir) / "release-history.json")


def read_applied(state_dir: str) -> dict[str, Any] | None:
    """The applied plan of this host. Raises StateFileError for a schema that this version does not know."""
    plan = read_json(plan_path(state_dir))
    if plan is None:
        return None
    found = plan.get("schema") if isinstance(plan, dict) else type(plan).__name__
    if found != PLAN_SCHEMA:
        raise StateFileError(
            f"The applied plan {plan_path(state_dir)} has schema {found}, this version reads {PLAN_SCHEMA}; "
            "use the release of aimesh that wrote it."
        )
    return dict(plan)


def read_history(state_dir: str) -> list[dict[str, Any]]:
    """Releases applied to this host, oldest first: `{release, document, digest, at, run_id, operator, verb}`.

    `document` is what the plan says of the release, `scale` its wish to scale; older entries have neither.
    `traffic` is the summary of the load that ran meanwhile, where there was one.

    `at` is in seconds since the epoch. Raises StateFileError.
    """
    raw = read_json(history_path(state_dir))
    if raw is None:
        return []
    if not isinstance(raw, dict) or raw.get("schema") != HISTORY_SCHEMA:
        raise StateFileError(
            f"The release history {history_path(state_dir)} is not of schema {HISTORY_SCHEMA}; "
            "use the release of aimesh that wrote it."
        )
    return list(raw["releases"])


def next_history(
    history: list[dict[str, Any]],
    plan: dict[str, Any],
    author: Author,
    now: float,
    traffic: dict[str, Any] | None = None,
) -> list[dict[str, Any]] | None:
    """The history after `plan` was applied, at most HISTORY_LENGTH entries, or None when it stays as it is."""
    release, digest = plan["release"]["id"], plan["digest"]
    if history and history[-1]["release"] == release and history[-1]["digest"] == digest:
        return None
    entry = {
        "release": release,
        "document": {key: value for key, value in plan["release"].items() if key != "source"},
        "digest": digest,
        "at": round(now, 3),
        "run_id": author.run_id,
        "operator": author.operator,
        "verb": author.verb,
        "scale": plan["wishes"]["scale"],
    } | ({"traffic": traffic} if traffic else {})
    return [*history, entry][-HISTORY_LENGTH:]


def pending_commit(state_dir: str, plan: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """(the plan applied before, whether committing `plan` would write anything)."""
    before = read_applied(state_dir)
    history = read_history(state_dir)
    last = history[-1] if history else {}
    recorded = last.get("release") == plan["release"]["id"] and last.get("digest") == plan["digest"]
    return before, before != with_wishes_of(before, plan) or not recorded


def with_wishes_of(before: dict[str, Any] | None, plan: dict[str, Any]) -> dict[str, Any]:
    """`plan` with the wishes of the applied plan, when it is the same mesh.

    That nobody wishes a second time for what an update or a scale has brought changes nothing, and the record goes on
    saying that it was wished for.
    """
    if before is None or before.get("digest") != plan["digest"] or "wishes" not in before:
        return plan
    # Nor does it matter from which machine the cluster is called.
    reached = {"kubernetes": before["kubernetes"]} if "kubernetes" in before else {}
    return plan | {"wishes": before["wishes"]} | reached


def commit(state_dir: str, plan: dict[str, Any], author: Author, traffic: dict[str, Any] | None = None) -> None:
    """Record `plan` as applied. History goes first, so that an interrupted commit is seen and done again."""
    history = next_history(read_history(state_dir), plan, author, time.time(), traffic)
    if history is not None:
        write_json(history_path(state_dir), {"schema": HISTORY_SCHEMA, "releases": history})
    before = read_applied(state_dir)
    recorded = with_wishes_of(before, plan)
    if before != recorded:
        write_json(plan_path(state_dir), recorded)


def keep_plan(state_dir: str, plan: dict[str, Any]) -> None:
    """Keep the whole plan for a later rollback; those go that the history no longer names, or that are too old."""
    folder = Path(state_dir, PLANS)
    folder.mkdir(mode=0o700, exist_ok=True)
    write_json(str(_kept_path(state_dir, plan["digest"])), plan)
    digests = list(dict.fromkeys(entry["digest"] for entry in reversed(read_history(state_dir))))[:PLANS_KEPT]
    wanted = {_kept_path(state_dir, digest) for digest in digests}
    for path in folder.glob("*.json"):
        if path not in wanted:
            path.unlink()


def kept_plans(state_dir: str) -> dict[str, dict[str, Any]]:
    """Plans that can be gone back to, by digest. Raises StateFileError."""
    plans = [read_json(str(path)) for path in sorted(Path(state_dir, PLANS).glob("*.json"))]
    return {plan["digest"]: plan for plan in plans if isinstance(plan, dict) and plan.get("schema") == PLAN_SCHEMA}


def _kept_path(state_dir: str, digest: str) -> Path:
    return Path(state_dir, PLANS, f"{digest.partition(':')[2][:16]}.json")

"""The report of a verification: what was planned, what each check showed, what that says of each promise."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = 1
STATUSES = ("pass", "fail", "skip", "not_applicable", "error")
AREAS = (
    "plan",
    "process",
    "container",
    "postgresql",
    "redis",
    "health",
    "network",
    "access",
    "smoke",
    "backup",
    "monitoring",
    "files",
    "secrets",
    "rollout",
    "harness",
)
"""Causes before consequences, so that the first line an operator reads is the one to act on."""
PASSED, FAILED, NOT_CHECKED = 0, 1, 2


class ReportError(ValueError):
    """There is no report to judge by; the message is one sentence."""


@dataclass(frozen=True)
class CheckResult:
    """One result, keyed by (id, host, instance). `seconds` is the slowest observation that it rests on."""

    id: str
    title: str
    claims: tuple[str, ...]
    status: str
    seconds: float
    host: str
    instance: str
    expected: str = ""
    actual: str = ""
    hint: str = ""


@dataclass(frozen=True)
class ClaimVerdict:
    """`verdict`: proven, contradicted or not_proven; `evidence` names the checks it rests on."""

    claim: str
    source: str
    verdict: str
    evidence: str


@dataclass(frozen=True)
class Report:
    """`started` is UTC in ISO 8601, `duration_s` seconds, `planned` the number of results there had to be."""

    run_id: str
    mesh: str
    platform: str
    size: str
    version: str
    started: str
    duration_s: float
    planned: int
    checks: tuple[CheckResult, ...]
    claims: tuple[ClaimVerdict, ...] = field(default=())
    rollout: dict[str, Any] | None = None
    """The last update, rollback or scaling, with the `proof` of the load that ran meanwhile."""
    schema: int = SCHEMA

    @property
    def counts(self) -> dict[str, int]:
        return {status: sum(check.status == status for check in self.checks) for status in STATUSES}

    @property
    def exit_code(self) -> int:
        """0: everything planned passed or is not applicable; 1: something failed; 2: something was not checked."""
        counts = self.counts
        if counts["fail"]:
            return FAILED
        unchecked = counts["skip"] + counts["error"]
        return NOT_CHECKED if unchecked or not counts["pass"] or len(self.checks) < self.planned else PASSED

    def as_dict(self) -> dict[str, Any]:
        document = asdict(self)
        return {
            **{name: document[name] for name in ("schema", "run_id", "mesh", "platform", "size", "version", "started")},
            "duration_s": round(self.duration_s, 2),
            "planned": self.planned,
            "counts": self.counts,
            "checks": [{**check, "claims": list(check["claims"])} for check in document["checks"]],
            "claims": list(document["claims"]),
            "rollout": self.rollout,
        }


def read_report(path: Path) -> Report:
    """The report in a file. Raises ReportError when it is missing, unreadable, or of a schema unknown here."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportError(f"There is no report {path}.") from None
    except OSError as error:
        raise ReportError(f"The report {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ReportError(f"The report {path} is not one of ours ({type(error).__name__}: {error}).") from None
    return report_of(document, f"report {path}")


def report_of(document: Any, name: str) -> Report:
    """The report that a document is. Raises ReportError about `name` when it is none, or of a schema unknown here."""
    try:
        if document["schema"] != SCHEMA:
            raise ReportError(f"The {name} has schema {document['schema']}; this release reads {SCHEMA}.")
        checks = tuple(CheckResult(**{**check, "claims": tuple(check["claims"])}) for check in document["checks"])
        claims = tuple(ClaimVerdict(**claim) for claim in document["claims"])
        plain = {key: value for key, value in document.items() if key not in ("checks", "claims", "counts")}
        return Report(**plain, checks=checks, claims=claims)
    except (KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"The {name} is not one of ours ({type(error).__name__}: {error}).") from None


def completed(
    planned: Iterable[Mapping[str, str]],
    results: Iterable[Mapping[str, Any]],
    waiting: Iterable[Mapping[str, str]],
    rounds: int,
) -> list[dict[str, Any]]:
    """Results by area, with an error for every planned one that is missing or still waits for answers."""
    found = {_key(result): dict(result) for result in results}
    unanswered = {_key(each) for each in waiting}
    complete = []
    for each in planned:
        key = _key(each)
        if key not in found:
            reason = (
                f"it still asked something new after {rounds} rounds"
                if key in unanswered
                else "it was planned and did not run"
            )
            found[key] = {**each, "title": each["id"], "check": "", "status": "error", "seconds": 0.0}
            found[key] |= {
                "expected": "a result",
                "actual": f"not checked: {reason}",
                "hint": "a defect of the harness",
            }
        complete.append(found[key])
    return sorted(complete, key=lambda row: _rank(row["id"]))


def _rank(check_id: str) -> int:
    area = check_id.partition(".")[0]
    return AREAS.index(area) if area in AREAS else len(AREAS)


def _key(result: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(result["id"]), str(result["host"]), str(result["instance"])

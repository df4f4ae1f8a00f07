"""What playbook and documentation promise, and what the checks say of each promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import CheckResult, ClaimVerdict

SHOWN = 3


@dataclass(frozen=True)
class Claim:
    """`source` says where it is promised, `checks` are ids as the checks declare them, `{subject}` included."""

    id: str
    claim: str
    source: str
    checks: tuple[str, ...]


def read_claims(path: Path) -> tuple[Claim, ...]:
    """The claims of `claims.yml`. Raises OSError, yaml.YAMLError, KeyError or TypeError when it is not one."""
    entries: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["claims"]
    return tuple(Claim(each["id"], each["claim"], each["source"], tuple(each["checks"])) for each in entries)


def claims_of_check(claims: Iterable[Claim], check_id: str) -> tuple[str, ...]:
    return tuple(claim.id for claim in claims if check_id in claim.checks)


def verdicts(claims: Iterable[Claim], results: Iterable[CheckResult]) -> tuple[ClaimVerdict, ...]:
    """A claim is contradicted by one failed check, proven when all that could be checked passed, else not proven."""
    listed = list(results)
    return tuple(_verdict(claim, [result for result in listed if claim.id in result.claims]) for claim in claims)


def _verdict(claim: Claim, results: list[CheckResult]) -> ClaimVerdict:
    by_status: Mapping[str, list[CheckResult]] = {
        status: [result for result in results if result.status == status]
        for status in ("pass", "fail", "skip", "error")
    }
    if by_status["fail"]:
        return ClaimVerdict(claim.claim, claim.source, "contradicted", _named(by_status["fail"], "failed"))
    unchecked = by_status["error"] + by_status["skip"]
    if unchecked:
        return ClaimVerdict(claim.claim, claim.source, "not_proven", _named(unchecked, "not checked"))
    if by_status["pass"]:
        return ClaimVerdict(claim.claim, claim.source, "proven", _named(by_status["pass"], "passed"))
    return ClaimVerdict(claim.claim, claim.source, "not_proven", "not applicable here" if results else "no check ran")


def _named(results: list[CheckResult], word: str) -> str:
    names = list(dict.fromkeys(result.id for result in results))
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{word}: {', '.join(names[:SHOWN])}{rest}"

"""Every claim names checks that exist and a promise that somebody made."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.claims import Claim, read_claims, verdicts
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import CheckResult
from vocabulary.check import CATALOGUE

ROOT = Path(__file__).resolve().parents[3]
CLAIMS = read_claims(ROOT / "claims.yml")
PLAYBOOK_HEADINGS = {
    "1.1 Infrastructure Requirements",
    "1.2 External Dependencies",
    "1.3 Security Setup",
    "2.3 Start Development Environment",
    "3.1 Production Docker Compose",
    "3.2 Update Deployment",
    "4.2 Deploy with Helm (Recommended)",
    "6.1 Health Checks",
    "6.2 Smoke Tests",
    "7.1 Prometheus Configuration",
    "7.2 Key Metrics to Monitor",
    "7.3 Alerting Rules",
    "8.1 Database Backup",
    "8.2 Configuration Backup",
    "8.3 Disaster Recovery",
    "9.1 Horizontal Scaling (Kubernetes)",
    "9.2 Vertical Scaling",
    "10.1 Common Issues",
}


def test_every_claim_is_named_once() -> None:
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS) >= 15


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_checks_of_a_claim_exist(claim: Claim) -> None:
    assert claim.checks
    assert set(claim.checks) <= set(CATALOGUE)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_source_of_a_claim_says_so(claim: Claim) -> None:
    assert is_promised(claim.source)


@pytest.mark.parametrize(
    "source", ["playbook 6.9 Wishes", "docs/verification.md: it makes coffee", "docs/no.md: x", "hearsay"]
)
def test_a_source_that_says_nothing_of_the_kind_is_noticed(source: str) -> None:
    assert not is_promised(source)


def test_every_check_proves_some_claim() -> None:
    assert {check for claim in CLAIMS for check in claim.checks} == set(CATALOGUE)


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["pass", "pass"], "proven"),
        (["pass", "not_applicable"], "proven"),
        (["pass", "fail", "error"], "contradicted"),
        (["pass", "error"], "not_proven"),
        (["pass", "skip"], "not_proven"),
        (["not_applicable"], "not_proven"),
        ([], "not_proven"),
    ],
)
def test_a_claim_is_proven_only_when_nothing_failed_or_was_left_out(statuses: list[str], verdict: str) -> None:
    claim = Claim("c", "It works", "docs", ("a.b.c",))
    results = [CheckResult("a.b.c", "t", ("c",), status, 0.1, "h", str(at)) for at, status in enumerate(statuses)]
    assert [each.verdict for each in verdicts([claim], results)] == [verdict]


def is_promised(source: str) -> bool:
    """A known heading of the playbook, or words that a document of the repository really holds."""
    if source.startswith("playbook "):
        return source.removeprefix("playbook ") in PLAYBOOK_HEADINGS
    path, _, words = source.partition(": ")
    document = ROOT / path
    return bool(words) and document.is_file() and words in " ".join(document.read_text(encoding="utf-8").split())

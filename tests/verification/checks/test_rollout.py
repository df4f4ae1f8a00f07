"""The last update, rollback or scaling dropped nothing, and none was left half-way."""

from __future__ import annotations

from typing import Any

from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, NotApplicableError, require, require_none
from vocabulary.targets import whole_mesh

PROMISED_ZERO = {
    "failed": "requests failed",
    "lost": "acknowledged records are not stored",
    "missed_events": "events never arrived",
}
NEVER_TWICE = {
    "duplicated": "records are stored more than once",
    "never_sent": "records are stored that were never sent",
}
PERCENTILES = ("p50_ms", "p99_ms")


@check(
    "rollout.none_unfinished", "No update, rollback or scaling was left half-way",
    targets=whole_mesh, capability="slots", hint="rollout",
)  # fmt: skip
def test_no_rollout_is_unfinished(mesh: Mesh, target: Target) -> None:
    unfinished = mesh.host(target.host).rollouts()["open"]
    if unfinished is not None:
        reason = f": {unfinished['message']}" if unfinished.get("message") else ""
        raise MismatchError(
            expected="every rollout is done",
            actual=f"{course(unfinished)} of run {unfinished['id']} is {unfinished['status']}{reason}",
        )


@check(
    "rollout.last.no_failed_request", "Last rollout failed no request, lost no record and missed no event",
    targets=whole_mesh, capability="slots", hint="rollout",
)  # fmt: skip
def test_last_rollout_failed_no_request(mesh: Mesh, target: Target) -> None:
    proof = proof_of(mesh, target)
    told = counted(proof, PROMISED_ZERO)
    if proof.get("verdict") != "pass" and not told and not counted(proof, NEVER_TWICE) and proof["versions_in_order"]:
        told = [str(reason) for reason in proof.get("reasons") or ["the proof has no verdict"]]
    if not proof.get("sent"):
        told.append("no request was sent")
    require_none(told, f"0 of {proof.get('sent')} requests failed, nothing lost, no event missed")


@check(
    "rollout.last.no_duplicate", "Last rollout made no record twice",
    targets=whole_mesh, capability="slots", hint="rollout",
)  # fmt: skip
def test_last_rollout_made_no_duplicate(mesh: Mesh, target: Target) -> None:
    require_none(counted(proof_of(mesh, target), NEVER_TWICE), "every record stored once, and none that was not sent")


@check(
    "rollout.last.versions_in_order", "Last rollout showed versions in order",
    targets=whole_mesh, capability="slots", hint="rollout",
)  # fmt: skip
def test_last_rollout_showed_versions_in_order(mesh: Mesh, target: Target) -> None:
    proof = proof_of(mesh, target)
    if proof["versions_in_order"] is not True:
        said = [str(reason) for reason in proof.get("reasons", []) if "version" in reason or "answered as" in reason]
        require_none(said or ["versions came out of order"], "no instance goes back to a version that it has left")
    require("services with a version", bool(proof.get("versions")), True)


@check(
    "rollout.last.latency_reported", "Latency before, during and after the last rollout is known",
    targets=whole_mesh, capability="slots", hint="rollout",
)  # fmt: skip
def test_last_rollout_reported_its_latency(mesh: Mesh, target: Target) -> None:
    proof = proof_of(mesh, target)
    unknown = [
        f"{name} {phase} is unknown"
        for name in PERCENTILES
        for phase in ("before", "during", "after")
        if not isinstance((proof.get(name) or {}).get(phase), (int, float))
    ]
    require_none(unknown, "p50 and p99 in milliseconds for each phase")


def proof_of(mesh: Mesh, target: Target) -> dict[str, Any]:
    """The proof of the last rollout. Raises NotApplicableError where there was none, or none under load."""
    seen = mesh.host(target.host).rollouts()
    if seen["last"] is None:
        raise NotApplicableError("there was no update, rollback or scaling yet")
    if seen["proof"] is None:
        raise NotApplicableError(f"{course(seen['last'])} ran without load (mesh_update.traffic)")
    proof: dict[str, Any] = seen["proof"]
    return proof


def counted(proof: dict[str, Any], promised: dict[str, str]) -> list[str]:
    """What should be zero and is not; a number that is missing is not zero."""
    return [f"{proof.get(name)} {words}" for name, words in promised.items() if proof.get(name) != 0]


def course(rollout: dict[str, Any]) -> str:
    """What a rollout did, in words."""
    return f"{rollout['verb']} from {rollout['from']} to {rollout['to']}"

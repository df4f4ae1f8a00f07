from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError
from ansible_collections.aimesh.mesh.plugins.module_utils.lease import (
    LIFETIME_S,
    Lease,
    LeaseHeldError,
    LeaseLostError,
    grant,
    lease_path,
    read_lease,
    release_lease,
    renew_if_holder,
    take_lease,
    write_lease,
)

NOW = 1_764_000_000.0
ANNA = Lease("run-a", "anna", "deploy", "laptop:m:b", 4711, "99", NOW - 60, NOW + 840)
BERT = Lease("run-b", "bert", "update", "awx:m:b", 12, "7", NOW, NOW + LIFETIME_S)


def test_a_free_lease_is_given() -> None:
    granted = grant(None, BERT, NOW)
    assert granted.lease == BERT and granted.taken_from is None


def test_a_held_lease_is_refused_in_one_sentence_that_says_who_since_when_until_when_and_how_to_take_over() -> None:
    with pytest.raises(LeaseHeldError) as refused:
        grant(ANNA, BERT, NOW)
    assert str(refused.value) == (
        "Another run works on this mesh: anna (deploy, run run-a, process 4711 on laptop, since "
        "2025-11-24 15:59:00 UTC). Wait for it to end; its lease expires at 2025-11-24 16:14:00 UTC unless it goes on. "
        "If you know that it is dead, take over with -e aimesh_take_over=run-a"
    )
    assert refused.value.holder == ANNA


def test_the_same_run_gets_its_lease_again_and_keeps_its_beginning() -> None:
    again = replace(ANNA, since=NOW, expires=NOW + LIFETIME_S)
    granted = grant(ANNA, again, NOW)
    assert granted.lease == replace(again, since=ANNA.since) and granted.taken_from is None


def test_an_expired_lease_is_taken_over_and_its_holder_named() -> None:
    granted = grant(ANNA, BERT, ANNA.expires)
    assert granted.taken_from == ANNA and granted.why == "it expired at 2025-11-24 16:14:00 UTC"


def test_a_lease_one_second_before_it_expires_is_still_held() -> None:
    with pytest.raises(LeaseHeldError):
        grant(ANNA, BERT, ANNA.expires - 1)


def test_naming_the_dead_run_takes_its_lease_and_naming_another_does_not() -> None:
    assert grant(ANNA, BERT, NOW, take_over="run-a").taken_from == ANNA
    with pytest.raises(LeaseHeldError):
        grant(ANNA, BERT, NOW, take_over="run-x")


def test_taking_writes_a_private_record_with_times_of_this_host(tmp_path: Path) -> None:
    before = time.time()
    taken = take_lease(str(tmp_path), BERT).lease
    assert before <= taken.since <= time.time() and taken.expires == taken.since + LIFETIME_S
    assert read_lease(str(tmp_path)) == taken
    assert Path(lease_path(str(tmp_path))).stat().st_mode & 0o777 == 0o600


def test_renewal_lengthens_an_ageing_lease_and_leaves_a_young_one_alone(tmp_path: Path) -> None:
    now = time.time()
    young = replace(BERT, since=now, expires=now + LIFETIME_S)
    write_lease(str(tmp_path), young)
    assert renew_if_holder(str(tmp_path), "run-b") and read_lease(str(tmp_path)) == young
    write_lease(str(tmp_path), replace(young, expires=now + 100))
    assert renew_if_holder(str(tmp_path), "run-b")
    renewed = read_lease(str(tmp_path))
    assert renewed is not None and renewed.expires >= now + LIFETIME_S


def test_a_run_that_lost_its_lease_is_stopped(tmp_path: Path) -> None:
    write_lease(str(tmp_path), replace(ANNA, expires=time.time() + 100))
    with pytest.raises(LeaseLostError, match=r"This run \(run-b\) no longer has the lease: anna \(deploy"):
        renew_if_holder(str(tmp_path), "run-b")


def test_a_call_outside_of_a_run_needs_no_lease(tmp_path: Path) -> None:
    assert renew_if_holder(str(tmp_path), "run-b") is False
    write_lease(str(tmp_path), replace(ANNA, expires=time.time() - 1))
    assert renew_if_holder(str(tmp_path), "run-b") is False


def test_only_the_holder_gives_the_lease_back(tmp_path: Path) -> None:
    write_lease(str(tmp_path), ANNA)
    assert release_lease(str(tmp_path), "run-b") is False and read_lease(str(tmp_path)) == ANNA
    assert release_lease(str(tmp_path), "run-a") is True and read_lease(str(tmp_path)) is None
    assert release_lease(str(tmp_path), "run-a") is False


@pytest.mark.parametrize("content", ["{}", "[]", '"x"', json.dumps({"run_id": "a"}), "{"])
def test_a_lease_that_is_not_ours_is_an_error_that_says_what_to_do(tmp_path: Path, content: str) -> None:
    Path(lease_path(str(tmp_path))).write_text(content)
    with pytest.raises(StateFileError, match=r"lease\.json"):
        read_lease(str(tmp_path))

"""Where a rollback goes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.target import rollback_target

A, B, C = "1.0.0+0000000a", "1.1.0+0000000b", "1.2.0+0000000c"


def history(*entries: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"release": release, "verb": verb, "document": {"id": release, "version": release.partition("+")[0]}}
        for release, verb in entries
    ]


def test_it_goes_to_the_release_before_the_applied_one() -> None:
    entries = history((A, "deploy"), (B, "update"), (B, "scale"))
    assert rollback_target(entries, None)["id"] == A


def test_after_a_rollback_it_goes_further_back_and_not_up_again() -> None:
    entries = history((A, "deploy"), (B, "update"), (C, "update"), (B, "rollback"))
    assert rollback_target(entries, None)["id"] == A
    with pytest.raises(PlanError, match=r"this mesh ran no release before 1\.0\.0"):
        rollback_target(history((A, "deploy"), (B, "update"), (A, "rollback")), None)


def test_of_an_unfinished_update_it_goes_back_to_the_applied_release() -> None:
    entries = history((A, "deploy"), (B, "update"))
    assert rollback_target(entries, {"to": C})["id"] == B


def test_a_release_of_the_history_can_be_named_by_version_or_id_and_no_other() -> None:
    entries = history((A, "deploy"), (B, "update"), (C, "update"))
    assert rollback_target(entries, None, "1.0.0")["id"] == rollback_target(entries, None, A)["id"] == A
    with pytest.raises(PlanError, match=r"^mesh_target_version is '2\.0\.0', which this mesh has not run; its release"):
        rollback_target(entries, None, "2.0.0")


def test_without_a_history_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(PlanError, match="history of this mesh is empty"):
        rollback_target([], None)

"""Secrets of a cluster with their values: which are written, and which have a value that is still to come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import VERIFICATION_SECRET
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.secrets import secret_arguments

from tests.unit.kubernetes.plans import planned

MANUAL = "mesh_kubernetes_verification: {schedule: manual}"


def part(missing: str = "") -> Any:
    """A slice whose secrets have values, but for one of them."""

    def rendered(files: list[Any]) -> list[Any]:
        return [
            SimpleNamespace(path=each.path, content=None if missing in each.secrets else f"value of {each.path}")
            for each in files
        ]

    return SimpleNamespace(plan=planned(MANUAL), rendered=rendered)


def of_the_verification(told: dict[str, Any]) -> dict[str, str]:
    (found,) = (each["data"] for each in told["secrets"] if each["name"] == VERIFICATION_SECRET)
    return dict(found)


def test_the_verification_gets_the_digest_of_all_secrets() -> None:
    told = secret_arguments(part(), lambda: "digest of all")
    assert of_the_verification(told)["escrow_digest"] == "digest of all"
    assert told["unknown"] == []


@pytest.mark.parametrize(
    ("missing", "unknown"),
    [("verify_token", VERIFICATION_SECRET), ("redis_monitor_password", "redis-users")],
)
def test_what_has_a_value_that_is_still_to_come_is_told_and_not_written(missing: str, unknown: str) -> None:
    told = secret_arguments(part(missing), lambda: "digest of all")
    assert unknown in told["unknown"]
    assert unknown not in {each["name"] for each in told["secrets"]}


def test_without_all_secrets_there_is_no_digest_yet() -> None:
    told = secret_arguments(part(), lambda: None)
    assert told["unknown"] == [VERIFICATION_SECRET]

"""A changed password: given to the accounts once the pod has it, once, and made up for after a run that was cut off."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube import database_accounts
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.database_accounts import (
    Accounts,
    remember,
    renew,
    server,
    stale,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError, ConflictError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.secret_objects import differing, secret_object, write
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.streams import Ended
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.accounts import account_arguments
from fake_cluster import FakeCluster

from tests.unit.kubernetes.plans import fixture, site

NEW, OLD = "new password", "old password"
KEYS = ("db_owner_password", "db_app_b_password")
ACCOUNTS = Accounts(
    "mesh-credentials", "postgresql-0", "postgresql", "/run/secrets/mesh", "/etc/accounts", KEYS, "versions-2"
)


def secret(**data: str) -> dict[str, Any]:
    return secret_object({"name": "mesh-credentials", "data": {**dict.fromkeys(KEYS, NEW), **data}}, "acme")


def pod(**state: Any) -> dict[str, Any]:
    status = {"containerStatuses": [{"name": "postgresql", "state": state}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "postgresql-0"}, "status": status}


class Pod:
    """Has the password of before for some looks, and then the new one."""

    def __init__(self, looks: int, code: int = 0, stderr: str = "") -> None:
        self.looks, self.code, self.stderr = looks, code, stderr
        self.calls: list[list[str]] = []

    def __call__(self, argv: list[str]) -> Ended:
        self.calls.append(argv)
        if argv[0] != "sha256sum":
            return Ended(self.code, "", self.stderr)
        self.looks -= 1
        digest = hashlib.sha256((OLD if self.looks >= 0 else NEW).encode()).hexdigest()
        return Ended(0, "".join(f"{digest}  {path}\n" for path in argv[1:]), "")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_accounts, "PAUSE_S", 0.0)


def test_the_accounts_get_their_passwords_only_once_the_pod_has_them() -> None:
    seen = Pod(looks=3)
    renew(ACCOUNTS, secret(), seen, 60.0)
    assert [call[0] for call in seen.calls] == ["sha256sum"] * 4 + ["/etc/accounts"]


def test_no_password_and_no_digest_of_one_is_in_a_command() -> None:
    seen = Pod(looks=0)
    renew(ACCOUNTS, secret(), seen, 60.0)
    words = " ".join(word for call in seen.calls for word in call)
    for value in (NEW, base64.b64encode(NEW.encode()).decode(), hashlib.sha256(NEW.encode()).hexdigest()):
        assert value not in words


def test_a_kubelet_that_does_not_bring_the_secret_is_one_sentence_and_nothing_was_set() -> None:
    seen = Pod(looks=10**6)
    with pytest.raises(ClusterError, match=r"postgresql-0 does not have it after 0 s; see that the kubelet"):
        renew(ACCOUNTS, secret(), seen, 0.0)
    assert seen.calls == [["sha256sum", *(f"/run/secrets/mesh/{key}" for key in KEYS)]]


def test_a_program_that_fails_is_told_with_its_reason() -> None:
    seen = Pod(looks=0, code=3, stderr="psql: error: server closed the connection\n")
    with pytest.raises(ClusterError, match=r"ended with 3, so the database has the passwords of before: psql: error"):
        renew(ACCOUNTS, secret(), seen, 60.0)


def test_what_was_done_is_not_done_again_and_what_was_cut_off_is() -> None:
    cluster = FakeCluster()
    cluster.put(secret())
    found = stale(cluster, ACCOUNTS)
    assert found is not None
    assert stale(cluster, ACCOUNTS) is not None
    remember(cluster, found, ACCOUNTS.fingerprint)
    assert stale(cluster, ACCOUNTS) is None
    assert stale(FakeCluster(), ACCOUNTS) is None


def test_the_note_outlives_a_secret_that_is_written_again_and_a_new_version_makes_it_stale() -> None:
    cluster = FakeCluster()
    cluster.put(secret(db_app_b_password=OLD))
    remember(cluster, cluster.get("Secret", "mesh-credentials") or {}, "versions-1")
    assert differing(cluster, [secret(db_app_b_password=OLD)], "acme").write == []
    write(cluster, differing(cluster, [secret()], "acme"))
    found = stale(cluster, ACCOUNTS)
    assert found is not None
    assert found["metadata"]["annotations"] == {database_accounts.APPLIED: "versions-1"}


def test_a_secret_that_somebody_changes_meanwhile_is_not_noted_as_done() -> None:
    cluster = FakeCluster()
    cluster.put(secret())
    found = stale(cluster, ACCOUNTS)
    assert found is not None
    cluster.put(secret(db_app_b_password="newer"))
    with pytest.raises(ConflictError):
        remember(cluster, found, ACCOUNTS.fingerprint)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], "absent"),
        ([pod(running={})], "running"),
        ([pod(waiting={"reason": "PodInitializing"})], "waiting"),
        ([pod(terminated={"exitCode": 1})], "waiting"),
    ],
)
def test_what_the_server_is(there: list[dict[str, Any]], expected: str) -> None:
    cluster = FakeCluster()
    for each in there:
        cluster.put(each)
    assert server(cluster, ACCOUNTS) == expected


def test_a_pod_that_is_on_its_way_out_is_not_asked() -> None:
    cluster = FakeCluster()
    leaving = pod(running={})
    leaving["metadata"]["deletionTimestamp"] = "2026-11-28T10:00:00Z"
    cluster.put(leaving)
    assert server(cluster, ACCOUNTS) == "waiting"


def test_the_fingerprint_follows_the_versions_of_database_passwords_and_of_no_other_secret() -> None:
    def fingerprint(changed: str) -> str:
        plan = fixture()
        if changed:
            plan["secrets"][changed] = {**plan["secrets"][changed], "version": 2}
        return str((account_arguments(plan) or {})["fingerprint"])

    ours = ("db_owner_password", "db_app_b_password", "db_monitor_password")
    assert len({fingerprint(name) for name in ("", *ours)}) == 4
    assert fingerprint("redis_password") == fingerprint("")


@pytest.mark.parametrize("name", ["small with everything outside", "medium with CloudNativePG"])
def test_a_database_that_is_not_ours_keeps_its_accounts(name: str) -> None:
    assert account_arguments(site(name)) is None

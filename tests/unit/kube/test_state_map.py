"""The state home in a ConfigMap keeps what a state directory keeps, and two writers do not lose each other's work."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import lease, rollout_record, state_home
from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import StateFileError, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError, ConflictError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.namespace import OWNER, ensure_namespace, is_ours
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import (
    LARGE,
    pack,
    read_state,
    renew_lease,
    state_map_name,
    unpack,
    with_state,
)
from ansible_collections.aimesh.mesh.plugins.modules import state
from fake_cluster import FakeCluster

NAME = state_map_name("acme")
ME = lease.Lease("run-me", "anna", "deploy", "here", 1, "1", 0.0, 0.0)
OTHER = replace(ME, run_id="run-other", operator="otto")


def put(path: str, content: Any) -> Any:
    def work(folder: str) -> None:
        target = Path(folder, path)
        target.parent.mkdir(exist_ok=True)
        write_json(str(target), content)

    return work


def test_files_come_back_as_they_went() -> None:
    files = {"lease.json": b"{}\n", "rollouts/r1.json": b"[]\n", "applied-plan.json": b"x" * LARGE}
    packed = pack(files)
    assert sorted(packed["data"]) == ["lease.json", "rollouts__r1.json"]
    assert list(packed["binaryData"]) == ["applied-plan.json.gz"]
    assert unpack(packed) == files
    assert pack(files) == packed


def test_what_no_config_map_holds_is_refused_in_a_sentence() -> None:
    with pytest.raises(StateFileError, match="a ConfigMap holds 1000"):
        pack({"applied-plan.json": secrets.token_hex(1200 * 1024).encode()})


def test_a_strangers_key_is_named() -> None:
    with pytest.raises(StateFileError, match="The key odd"):
        unpack({"binaryData": {"odd": "AAAA"}})


def test_what_work_wrote_is_there_for_the_next() -> None:
    cluster = FakeCluster()
    with_state(cluster, NAME, put("rollouts/r1.json", {"a": 1}))
    assert with_state(cluster, NAME, lambda folder: json.loads(Path(folder, "rollouts/r1.json").read_text())) == {
        "a": 1
    }
    assert [method for method, _ in cluster.calls] == ["GET", "POST", "GET"], "reading wrote"


def test_check_mode_writes_nothing() -> None:
    cluster = FakeCluster()
    with_state(cluster, NAME, put("lease.json", {}), writes=False)
    assert read_state(cluster, NAME) == {}


def test_a_file_that_was_removed_is_gone() -> None:
    cluster = FakeCluster()
    with_state(cluster, NAME, put("lease.json", {}))
    with_state(cluster, NAME, lambda folder: Path(folder, "lease.json").unlink())
    assert read_state(cluster, NAME) == {}


def test_work_is_done_again_when_another_has_written_meanwhile() -> None:
    cluster = FakeCluster()
    with_state(cluster, NAME, put("first.json", 0))
    cluster.before_write = lambda: with_state(cluster, NAME, put("other.json", 1))
    with_state(cluster, NAME, put("mine.json", 2))
    assert sorted(read_state(cluster, NAME)) == ["first.json", "mine.json", "other.json"]


def test_work_is_done_again_when_another_has_made_the_map_meanwhile() -> None:
    cluster = FakeCluster()
    cluster.before_write = lambda: with_state(cluster, NAME, put("other.json", 1))
    with_state(cluster, NAME, put("mine.json", 2))
    assert sorted(read_state(cluster, NAME)) == ["mine.json", "other.json"]


def test_who_never_gets_to_write_is_told() -> None:
    cluster = FakeCluster()
    with_state(cluster, NAME, put("count.json", 0))

    def never(folder: str) -> None:
        with_state(cluster, NAME, put("count.json", secrets.token_hex(4)))
        put("mine.json", 1)(folder)

    with pytest.raises(ConflictError):
        with_state(cluster, NAME, never)


def test_of_two_runs_one_gets_the_lease() -> None:
    cluster = FakeCluster()
    cluster.before_write = lambda: with_state(cluster, NAME, lambda folder: lease.take_lease(folder, OTHER))
    with pytest.raises(lease.LeaseHeldError, match="otto"):
        with_state(cluster, NAME, lambda folder: lease.take_lease(folder, ME))
    assert b"run-other" in read_state(cluster, NAME)["lease.json"]


def test_an_expired_lease_is_taken_over_and_its_run_is_told() -> None:
    cluster = FakeCluster()
    with_state(cluster, NAME, lambda folder: lease.write_lease(folder, replace(OTHER, expires=1.0)))
    granted = with_state(cluster, NAME, lambda folder: lease.take_lease(folder, ME))
    assert granted.taken_from is not None
    assert granted.taken_from.run_id == "run-other"
    with pytest.raises(lease.LeaseLostError, match="anna"):
        renew_lease(cluster, NAME, "run-other")


def test_plans_are_kept_for_a_rollback_as_long_as_the_history_names_them() -> None:
    cluster, author = FakeCluster(), state_home.Author("r", "anna", "deploy")
    for number in range(state_home.PLANS_KEPT + 2):
        plan = {
            "schema": 1,  "release": {"id": f"1.{number}.0"},
            "wishes": {"scale": {}}, "mesh": {"name": "acme"},
        }  # fmt: skip
        plan["digest"] = f"sha256:{number:016x}{'0' * 48}"

        def work(folder: str, plan: dict[str, Any] = plan) -> None:
            state_home.commit(folder, plan, author)
            state_home.keep_plan(folder, plan)

        with_state(cluster, NAME, work)
    kept = with_state(cluster, NAME, state_home.kept_plans)
    assert [plan["release"]["id"] for plan in kept.values()] == [f"1.{number}.0" for number in range(2, 12)]


def test_a_rollout_is_recorded_as_on_a_host() -> None:
    cluster, header = FakeCluster(), {"id": "r1", "verb": "update", "from": "1.0.0", "to": "1.1.0"}
    with_state(cluster, NAME, lambda folder: rollout_record.begin(folder, header))
    with_state(cluster, NAME, lambda folder: rollout_record.end(folder, "r1", "done"))
    assert list(read_state(cluster, NAME)) == ["rollouts/r1.json"]


def test_a_namespace_is_made_once_and_is_ours() -> None:
    cluster = FakeCluster()
    assert ensure_namespace(cluster, "acme") is True
    assert ensure_namespace(cluster, "acme") is False
    made = cluster.get("Namespace", "acme")
    assert made is not None
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert is_ours(made, "acme")
    assert not is_ours(made, "other")


def test_a_namespace_that_was_there_is_not_ours() -> None:
    cluster = FakeCluster()
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "acme", "labels": {}}})
    assert ensure_namespace(cluster, "acme") is False
    assert not is_ours(cluster.get("Namespace", "acme"), "acme")
    assert OWNER not in str(cluster.objects)


def test_who_may_not_make_a_namespace_is_told_what_to_ask_for() -> None:
    cluster = FakeCluster()
    cluster.forbidden.add(("POST", "/api/v1/namespaces"))
    with pytest.raises(ClusterError, match="ask for it to be made"):
        ensure_namespace(cluster, "acme")


def test_a_namespace_on_its_way_out_is_waited_for_by_the_operator() -> None:
    cluster = FakeCluster()
    leaving = {"metadata": {"name": "acme"}, "status": {"phase": "Terminating"}}
    cluster.put({"apiVersion": "v1", "kind": "Namespace", **leaving})
    with pytest.raises(ClusterError, match="is being removed"):
        ensure_namespace(cluster, "acme")


class EndedError(Exception):
    """As a module ends."""


class Module(SimpleNamespace):
    """A call of `aimesh.mesh.state` on a mesh in a cluster."""

    def __init__(self, verb: str) -> None:
        given = {"verb": verb, "operation": state.REMOVE, "take_over": "", "run_id": "run-a", "operator": "anna"}
        given |= {"controller": "laptop", "pid": 7, "started": "5", "state_host": True, "lease_path": "lease.json"}
        super().__init__(params={**given, "cluster": {"namespace": "acme"}, "mesh": "acme"}, check_mode=False)

    def fail_json(self, **told: Any) -> None:
        raise EndedError(told["msg"])


@pytest.mark.parametrize("verb", ["begin", "abandon"])
def test_a_removal_of_what_is_gone_makes_no_state_home(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """The namespace may be gone as well, and nothing could be written into it."""
    cluster = FakeCluster()
    monkeypatch.setattr(state.Cluster, "of", lambda _: cluster)
    assert state.in_cluster(Module(verb)).get("lease") is None
    assert cluster.objects == {}
    with_state(cluster, NAME, put("applied-plan.json", {}))
    state.in_cluster(Module("begin"))
    assert "lease.json" in read_state(cluster, NAME)

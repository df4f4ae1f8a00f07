"""Helm: which versions are taken, what it is told, and what a failed upgrade leaves."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube import helm_release
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import (
    Helm,
    HelmError,
    Record,
    check_version,
    complaint,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm_release import (
    Wanted,
    bring,
    difference,
    forget_pending,
    last_good,
    note_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_watch import Patience, Watched
from fake_cluster import FakeCluster

CLUSTER = {"kubeconfig": "/site/kubeconfig", "context": "acme", "namespace": "acme"}
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: registry}\nspec: {clusterIP: None}\n"
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: registry}\nspec: {replicas: %d}\n"


@pytest.mark.parametrize("told", ["v3.18.0", "v3.22", "v4.1.0", "v4.3", "v3.19.0+g1234"])
def test_versions_that_are_taken(told: str) -> None:
    assert check_version(told) == told


@pytest.mark.parametrize("told", ["v3.17.4", "v2.16.1", "v4.0.5", "v5.0.0"])
def test_other_versions_are_refused_in_one_sentence(told: str) -> None:
    with pytest.raises(
        HelmError, match=r"needs 3\.18 or later of Helm 3, or 4\.1 or later of Helm 4; install"
    ) as refused:
        check_version(told)
    assert "\n" not in str(refused.value)


def test_what_is_no_version_is_shown() -> None:
    with pytest.raises(HelmError, match="told 'permission denied' instead of a version"):
        check_version("permission denied")


def test_a_missing_program_is_one_sentence() -> None:
    with pytest.raises(HelmError, match="The program no-such-helm is not here"):
        Helm(CLUSTER, "acme", "no-such-helm").require_version()


def recorder(folder: Path, answer: str) -> Path:
    """A `helm` that writes down how it was called, and answers always the same."""
    program = folder / "helm"
    program.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$*" >> {folder}/arguments\n'
        f"cat >> {folder}/stdin\n"
        f"env | grep ^HELM_ >> {folder}/environment\n"
        f"cat {folder}/answer\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "answer").write_text(answer)
    return program


def test_values_go_in_on_standard_input_and_the_operators_files_are_not_touched(tmp_path: Path) -> None:
    program = recorder(tmp_path, "{}")
    Helm(CLUSTER, "acme", str(program)).upgrade("/charts/mesh", {"size": "small-canary"}, "1.0.0")
    arguments = (tmp_path / "arguments").read_text()
    assert "small-canary" not in arguments
    assert json.loads((tmp_path / "stdin").read_text()) == {"size": "small-canary"}
    assert "--kubeconfig /site/kubeconfig --kube-context acme" in arguments
    assert "--wait" not in arguments
    homes = (tmp_path / "environment").read_text().splitlines()
    assert len(homes) >= 3
    assert all("aimesh-helm-" in line for line in homes if "_HOME=" in line)


def test_only_what_is_there_by_manifests_is_taken_over(tmp_path: Path) -> None:
    program = recorder(tmp_path, '{"manifest": ""}')
    for adopts in (True, False):
        Helm(CLUSTER, "acme", str(program), adopts=adopts).rendered("/charts/mesh", {})
    first, second = (tmp_path / "arguments").read_text().splitlines()
    assert "--take-ownership" in first
    assert "--take-ownership" not in second


@pytest.mark.parametrize(("version", "told"), [("v3.22.0", 0), ("v4.3", 2)])
def test_helm_4_applies_as_helm_3_does(tmp_path: Path, version: str, told: int) -> None:
    program = recorder(tmp_path, version)
    helm = Helm(CLUSTER, "acme", str(program)).checked()
    (tmp_path / "arguments").unlink()
    helm.upgrade("/charts/mesh", {}, "1.0.0")
    helm.rollback(3)
    # `helm uninstall` has no such flag.
    helm.uninstall()
    assert (tmp_path / "arguments").read_text().count("--server-side=false") == told


def test_a_record_is_the_newest_revision(tmp_path: Path) -> None:
    class Told(Helm):
        def _run(self, arguments: list[str], _values: Mapping[str, Any] | None = None) -> str:
            if arguments[0] == "history":
                rows = [{"revision": 1, "status": "superseded"}, {"revision": 2, "status": "failed"}]
                return json.dumps([row | {"chart": "ai-agent-mesh-1.0.0"} for row in rows])
            return json.dumps({"manifest": SERVICE, "config": {"a": 1}})

    assert Told(CLUSTER, "acme").record() == Record(2, "failed", "ai-agent-mesh-1.0.0", SERVICE, {"a": 1})


def test_no_release_is_no_record() -> None:
    class Absent(Helm):
        def _run(self, _arguments: list[str], _values: Mapping[str, Any] | None = None) -> str:
            raise HelmError("helm history failed: release: not found.")

    assert Absent(CLUSTER, "acme").record() is None
    assert Absent(CLUSTER, "acme").uninstall() is False


def test_a_complaint_is_one_line_without_credentials() -> None:
    stderr = "WARNING: Kubernetes configuration file is group-readable\nError: bad\nAuthorization: Bearer abc.def\n"
    assert complaint(stderr) == "bad; Authorization: Bearer …"


class FakeHelm(Helm):
    """A release in memory: revisions, and an upgrade that may fail."""

    def __init__(self, rendered: str, rows: list[dict[str, Any]], fails: str = "") -> None:
        super().__init__(CLUSTER, "acme")
        object.__setattr__(self, "told", {"rendered": rendered, "rows": rows, "fails": fails, "calls": []})

    @property
    def calls(self) -> list[str]:
        return list(self.told["calls"])

    def history(self) -> list[dict[str, Any]]:
        return list(self.told["rows"])

    def record(self) -> Record | None:
        rows = self.history()
        return Record(rows[-1]["revision"], rows[-1]["status"], "c", rows[-1]["manifest"], {}) if rows else None

    def rendered(self, _chart: str, _values: Mapping[str, Any]) -> str:
        return str(self.told["rendered"])

    def upgrade(self, _chart: str, _values: Mapping[str, Any], _description: str) -> None:
        self.told["calls"].append("upgrade")
        if self.told["fails"]:
            raise HelmError(self.told["fails"])
        self.told["rows"].append(row(len(self.history()) + 1, self.rendered("", {})))

    def rollback(self, revision: int) -> None:
        self.told["calls"].append(f"rollback {revision}")
        old = next(each for each in self.history() if each["revision"] == revision)
        self.told["rows"].append(row(len(self.history()) + 1, old["manifest"]))


def row(revision: int, manifest: str, status: str = "deployed") -> dict[str, Any]:
    return {"revision": revision, "status": status, "manifest": manifest}


def put_all(cluster: FakeCluster, manifest: str) -> None:
    for each in helm_release.objects_of(manifest):
        cluster.put(each)


WANTED = Wanted("/charts/mesh", {}, "1.0.0")
PLAN = {"release": {"id": "1.0.0+abc"}, "digest": "sha256:0123456789abcdef"}


def test_nothing_differs_when_record_and_cluster_are_as_rendered() -> None:
    cluster, helm = FakeCluster(), FakeHelm(SERVICE, [row(1, SERVICE)])
    put_all(cluster, SERVICE)
    found, _ = difference(cluster, helm, helm.record(), WANTED)
    assert found.rows == ()


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ("deleted", ("- Service registry (changed by somebody else)",)),
        ("edited", ("~ Service registry (changed by somebody else)",)),
    ],
)
def test_what_somebody_changed_in_the_cluster_differs(change: str, rows: tuple[str, ...]) -> None:
    cluster, helm = FakeCluster(), FakeHelm(SERVICE, [row(1, SERVICE)])
    if change == "edited":
        put_all(cluster, SERVICE.replace("None", "10.0.0.1"))
    found, _ = difference(cluster, helm, helm.record(), WANTED)
    assert found.rows == rows


def test_a_release_that_helm_calls_failed_differs() -> None:
    cluster, helm = FakeCluster(), FakeHelm(SERVICE, [row(1, SERVICE, "failed")])
    put_all(cluster, SERVICE)
    found, _ = difference(cluster, helm, helm.record(), WANTED)
    assert found.rows == ("~ release acme (Helm calls it failed)",)


def test_the_diff_shows_what_changes_and_nothing_else() -> None:
    before, after = "---\n".join([SERVICE, DEPLOYMENT % 1]), "---\n".join([SERVICE, DEPLOYMENT % 2])
    helm = FakeHelm(after, [row(1, before)])
    found, _ = difference(FakeCluster(), helm, helm.record(), WANTED)
    assert found.rows == ("~ Deployment registry",)
    assert ("replicas: 1" in found.before, "replicas: 2" in found.after) == (True, True)
    assert "Service" not in found.before + found.after


STORE = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: postgresql, labels: {version: "%s"}}
spec: {template: {metadata: {annotations: {configuration: "%s"}}}}
"""


@pytest.mark.parametrize(("after", "restarts"), [(("2", "a"), ()), (("1", "b"), ("postgresql",)), (("1", "a"), ())])
def test_a_store_whose_pods_would_be_made_anew_is_named(after: tuple[str, str], restarts: tuple[str, ...]) -> None:
    helm = FakeHelm(STORE % after, [row(1, STORE % ("1", "a"))])
    found, _ = difference(FakeCluster(), helm, helm.record(), WANTED)
    assert found.restarts == restarts


def brought(
    helm: FakeHelm, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, *ends: bool, seen: str = ""
) -> helm_release.Ended:
    """How bringing the release there ended, when the watches end as given."""
    left = list(ends)

    def watched(*_: Any) -> Watched:
        return Watched(left.pop(0), "the image cannot be had.", ("log line",), 3.0)

    monkeypatch.setattr(helm_release, "watch", watched)
    objects = helm_release.objects_of(helm.rendered("", {}))
    return bring(cluster, helm, replace(WANTED, seen=seen), objects, Patience(), lambda: None)


def test_a_release_that_comes_up_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    helm = FakeHelm(SERVICE, [])
    ended = brought(helm, FakeCluster(), monkeypatch, True)
    assert (ended.watched.ready, ended.revision, helm.calls) == (True, 1, ["upgrade"])


def test_a_release_that_does_not_come_up_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    helm = FakeHelm(DEPLOYMENT % 2, [row(1, DEPLOYMENT % 1)])
    ended = brought(helm, FakeCluster(), monkeypatch, False, True)
    assert not ended.watched.ready
    assert (ended.went_back, ended.why) == (1, ("Revision 1 is back, and runs.",))
    assert helm.calls == ["upgrade", "rollback 1"]


def test_a_run_that_died_before_is_no_place_to_go_back_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helm calls revision 2 deployed, and no run has seen it running."""
    rows = [
        row(1, DEPLOYMENT % 1, "superseded") | {"description": note_of(PLAN)},
        row(2, DEPLOYMENT % 2) | {"description": "1.1.0, plan sha256:other"},
    ]
    helm = FakeHelm(DEPLOYMENT % 3, rows)
    ended = brought(helm, FakeCluster(), monkeypatch, False, True, seen=note_of(PLAN))
    assert (ended.went_back, helm.calls) == (1, ["upgrade", "rollback 1"])


def test_going_back_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = brought(FakeHelm(DEPLOYMENT % 2, [row(1, DEPLOYMENT % 1)]), FakeCluster(), monkeypatch, False, False)
    assert ended.why[0].startswith("Revision 1 is back and does not run either")


def test_a_first_install_that_fails_stays_to_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    helm = FakeHelm(SERVICE, [])
    ended = brought(helm, FakeCluster(), monkeypatch, False)
    assert (ended.went_back, helm.calls) == (0, ["upgrade"])
    assert "stays as it is" in ended.why[0]


def test_an_upgrade_that_helm_refuses_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    helm = FakeHelm(DEPLOYMENT % 2, [row(1, DEPLOYMENT % 1)], fails="helm upgrade failed: field is immutable.")
    ended = brought(helm, FakeCluster(), monkeypatch, True)
    assert ended.watched.message == "helm upgrade failed: field is immutable."
    assert ended.went_back == 1


def test_a_lost_lease_stops_before_the_first_change(monkeypatch: pytest.MonkeyPatch) -> None:
    class LostError(Exception):
        pass

    def lost() -> None:
        raise LostError

    helm = FakeHelm(SERVICE, [])
    with pytest.raises(LostError):
        bring(FakeCluster(), helm, WANTED, [], Patience(), lost)
    assert helm.calls == []


@pytest.mark.parametrize(
    ("status", "left"), [("pending-upgrade", ["v1"]), ("deployed", ["v1", "v2"]), ("failed", ["v1", "v2"])]
)
def test_a_record_of_a_dead_operation_is_forgotten_and_no_other(status: str, left: list[str]) -> None:
    cluster, asked = FakeCluster(), []
    for name, kept in (("v1", "deployed"), ("v2", status)):
        labels = {"owner": "helm", "name": "acme", "status": kept}
        cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}})
    helm = FakeHelm(SERVICE, [row(1, SERVICE), row(2, SERVICE, status)])
    forgotten = forget_pending(cluster, helm, helm.record(), lambda: asked.append("lease"))
    assert (forgotten, asked) == ((True, ["lease"]) if left == ["v1"] else (False, []))
    assert [each["metadata"]["name"] for each in cluster.list("Secret")] == left


def test_what_differs_is_known_beside_a_dead_operation_although_helm_renders_nothing_then() -> None:
    class Busy(FakeHelm):
        def rendered(self, _chart: str, _values: Mapping[str, Any]) -> str:
            raise HelmError("helm upgrade failed: another operation (install/upgrade/rollback) is in progress.")

        def template(self, _chart: str, _values: Mapping[str, Any], kubernetes: str) -> str:
            assert kubernetes == "v1.35.4"
            return DEPLOYMENT % 2

    cluster = FakeCluster()
    cluster.objects["/version"] = {"gitVersion": "v1.35.4"}
    helm = Busy("", [row(1, DEPLOYMENT % 1), row(2, DEPLOYMENT % 1, "pending-upgrade")])
    found, _ = difference(cluster, helm, helm.record(), WANTED)
    assert found.rows == ("~ Deployment registry", "~ release acme (Helm calls it pending-upgrade)")


@pytest.mark.parametrize(
    ("seen", "good"),
    [
        ("1.0.0, plan a", 3),  # applied; 4 and 5 are of a run that nobody saw the end of
        ("1.2.0, plan c", 5),  # one whose history is not kept any more
        ("", 5),
    ],
)
def test_going_back_is_to_what_a_run_saw_running(seen: str, good: int) -> None:
    rows = [
        row(2, "", "superseded") | {"description": "1.0.0, plan a"},
        row(3, "", "superseded") | {"description": "1.0.0, plan a"},
        row(4, "", "failed") | {"description": "1.0.0, plan a"},
        row(5, "", "deployed") | {"description": "1.1.0, plan b"},
    ]
    assert last_good(rows, seen) == good


def test_the_last_good_revision_is_the_newest_deployed_one() -> None:
    rows = [row(1, "", "superseded"), row(2, "", "deployed"), row(3, "", "failed")]
    assert last_good(rows) == 2
    assert last_good([]) == 0

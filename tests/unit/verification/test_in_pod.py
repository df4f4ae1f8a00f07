"""The verification as a program in a pod: what it judges by, what it prints, and how it ends when it cannot look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.access_review import REVIEWS
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import JSON, Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import pack
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.verification_job import MARK
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification import in_pod
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import report_of
from fake_cluster import FakeCluster
from healthy import RUN_ID, HealthyMesh, plan_of
from vocabulary.answers import Answers
from vocabulary.mesh import Mesh

Object = dict[str, Any]
SECRETS = {"verify_token": "verify-7d793037a0760186", "redis_password": "redis-574db0282f2f435e"}


class Api(FakeCluster):
    """An API server that allows what it is not told to refuse."""

    def __init__(self, state: Mapping[str, bytes] | None) -> None:
        super().__init__()
        self.refuses: set[str] = set()
        if state is not None:
            metadata = {"name": "acme-state-home", "namespace": "acme"}
            self.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata} | pack(state))

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, content: str = JSON
    ) -> Object:
        if path == REVIEWS:
            return {"status": {"allowed": body["spec"]["resourceAttributes"]["resource"] not in self.refuses}}
        return super().request(method, path, query, body, content)


class Pod:
    """Runs the program on a healthy mesh; `sent` are the secrets that probes were given."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.plan = plan_of("kubernetes", kubernetes__ingress=None)
        self.api = Api({"applied-plan.json": json.dumps(self.plan).encode()})
        self.sent: dict[str, str] = {}
        self.broken: dict[str, Any] = {}
        self.error = ""
        (folder / "credentials").mkdir()
        for name, value in SECRETS.items():
            (folder / "credentials" / name).write_text(value)
        monkeypatch.setattr(Cluster, "of", lambda _cluster: self.api)
        monkeypatch.setattr(in_pod, "answer_in_cluster", self._answers)
        monkeypatch.setattr(in_pod, "answer_all", self._from_outside)

    def _answers(self, _: Any, __: Any, questions: Mapping[str, Any], secrets: Any, ___: float) -> Object:
        if self.error:
            raise ClusterError(self.error)
        self.sent |= secrets
        model = HealthyMesh(Mesh(self.plan, Answers(), RUN_ID, self.plan))
        host = self.plan["mesh"]["state_home"]["host"]
        return {
            key: self.broken.get(each["kind"]) or {"value": model.answer(host, dict(each)), "seconds": 0.1}
            for key, each in questions.items()
        }

    def _from_outside(self, questions: Mapping[str, Any], secrets: Any, timeout: float) -> Object:
        if self.error:
            return {key: {"error": self.error, "asked": False, "seconds": 0.1} for key in questions}
        return self._answers(None, {}, questions, secrets, timeout)

    def run(self, *more: str) -> int:
        words = ["--namespace=acme", "--mesh=acme", "--service=registry", f"--run-id={RUN_ID}"]
        return in_pod.main([*words, f"--credentials={self.folder}/credentials", f"--scratch={self.folder}/tmp", *more])


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    return Pod(tmp_path, monkeypatch)


def told(capsys: pytest.CaptureFixture[str]) -> tuple[str, Object]:
    """Everything printed, and the report in it."""
    text = capsys.readouterr().out
    lines = [line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)]
    return text, json.loads(lines[0]) if lines else {}


def statuses(report: Object, check: str) -> set[str]:
    return {row["status"] for row in report["checks"] if row["id"] == check}


def test_a_mesh_as_applied_is_proven_and_the_report_is_the_last_line(
    pod: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pod.run() == 0
    text, report = told(capsys)
    assert text.splitlines()[-1].startswith(MARK) and "PROVEN" in text
    assert report_of(report, "report").exit_code == 0
    assert (report["run_id"], report["mesh"], report["platform"]) == (RUN_ID, "acme", "kubernetes")
    # No inventory is there, so nothing is said of what it wants.
    assert statuses(report, "plan.applied") == {"not_applicable"}
    assert pod.sent == SECRETS
    assert all(value not in text for value in SECRETS.values())
    kept = [path.read_text() for path in (pod.folder / "tmp").rglob("*") if path.is_file()]
    assert kept and all(value not in text for value in SECRETS.values() for text in kept)


def test_a_red_check_is_exit_code_1_and_one_that_cannot_be_made_2(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.broken = {"http": {"value": {"status": 503, "body": "{}", "json": {}, "headers": {}}, "seconds": 0.1}}
    assert pod.run("--only=health") == 1
    assert told(capsys)[1]["counts"]["fail"] > 0
    pod.broken = {"http": {"error": "the API server refuses: forbidden", "asked": False, "seconds": 0.1}}
    assert pod.run("--run-id=second", "--only=health") == 2
    assert told(capsys)[1]["counts"]["pass"] == 0


def test_the_plan_of_today_is_held_against_the_applied_one(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = pod.folder / "wanted.json"
    wanted.write_text(json.dumps({**pod.plan, "digest": "sha256:1", "verify": {**pod.plan["verify"], "writes": False}}))
    assert pod.run(f"--wanted={wanted}") == 1
    _, report = told(capsys)
    assert statuses(report, "plan.applied") == {"fail"}
    assert any("mesh_verify_writes is false" in row["actual"] for row in report["checks"])


@pytest.mark.parametrize("resource", ["pods", "endpointslices", "services", "configmaps"])
def test_without_a_right_nothing_is_asked_and_the_right_is_named(
    pod: Pod, capsys: pytest.CaptureFixture[str], resource: str
) -> None:
    pod.api.refuses.add(resource)
    assert pod.run() == 2
    text, report = told(capsys)
    assert report == {} and pod.sent == {}
    assert text.startswith("verification: not checked: the service account of this pod may not ")
    assert resource in text and "in the namespace acme; a deploy gives its Role what the checks need." in text


def test_a_mesh_that_was_never_deployed_is_not_called_proven(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    for state in (None, {"lease.json": b"{}"}):
        pod.api = Api(state)
        assert pod.run() == 2
        assert "has no applied plan, so nothing was deployed" in told(capsys)[0]


@pytest.mark.parametrize(
    ("plan", "says"),
    [(b"{", "is not readable"), (b"[]", "is not a plan"), (b'{"schema": 99, "mesh": {}}', "has plan schema 99")],
)
def test_an_applied_plan_that_cannot_be_read_is_one_sentence(
    pod: Pod, capsys: pytest.CaptureFixture[str], plan: bytes, says: str
) -> None:
    pod.api = Api({"applied-plan.json": plan})
    assert pod.run() == 2
    assert says in told(capsys)[0]


def test_a_secret_that_is_not_mounted_makes_its_own_checks_say_so(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    (pod.folder / "credentials" / "verify_token").unlink()
    pod.run()
    assert "Checks that need the secrets verify_token cannot be made" in told(capsys)[0]
    assert "verify_token" not in pod.sent


def test_an_api_server_that_goes_away_makes_every_check_say_so(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.error = "The API server https://fake gives no answer: timed out."
    assert pod.run("--only=health") == 2
    _, report = told(capsys)
    assert report["counts"]["pass"] == report["counts"]["fail"] == 0
    assert all("gives no answer" in row["actual"] for row in report["checks"] if row["status"] == "error")


def test_an_area_without_checks_is_refused(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    assert pod.run("--only=weather") == 2
    assert "There are no checks of weather; areas are " in told(capsys)[0]

"""Alerts of a mesh in a real cluster: none while all is well, and the drill finds each hop that is broken.

In order, on one deployed site: each story leaves it as it was found.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from k8s_site import KubeSite
from monitoring_stories import broken_at

from tests.testbed import alerts, playbook
from tests.testbed.cluster import Cluster
from tests.testbed.paths import REPOSITORY

APP = ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")
ROUTES, RULES = ("secret", "mesh-monitoring", "alertmanager.yml"), ("configmap", "prometheus", "rules.yml")
DIES = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drill_fault import WorkloadFault
cluster = {"kubeconfig": sys.argv[2], "context": "", "namespace": sys.argv[3]}
WorkloadFault.of(cluster, sys.argv[3], "registry", pathlib.Path(sys.argv[4])).begin(float(sys.argv[5]))
os.kill(os.getpid(), 9)
"""
"""A controller that stops the registry and is killed."""


@dataclass
class Watched:
    """A site that is deployed; its alert receiver's pod is a shell for `tests.testbed.alerts`."""

    site: KubeSite

    @property
    def plan(self) -> dict[str, Any]:
        return self.site.applied()

    @property
    def proof(self) -> dict[str, Any]:
        held: dict[str, Any] = self.site.state("drills/alerts.json")
        return held

    def run(self, script: str) -> str:
        return self.site.kubectl("exec", "alert-receiver-0", "--", "sh", "-c", script)

    def drill(self, fault: str = "", *arguments: str, **variables: Any) -> playbook.Outcome:
        wish = {"mesh_drill_fault": fault} if fault else {}
        return self.site.run("playbooks/drill.yml", *arguments, mesh_drill="alerts", **wish, **variables)

    def failed_checks(self) -> set[str]:
        """Checks of monitoring that are red now."""
        self.site.run("playbooks/verify.yml")
        rows = self.site.report()["checks"]
        return {row["id"] for row in rows if row["status"] == "fail" and row["id"].startswith("monitoring.")}

    def pods(self, *components: str) -> dict[str, str]:
        """Name → uid of the pods of some components."""
        selector = f"app.kubernetes.io/component in ({','.join(components)})"
        rows = self.site.get("pods", f"--selector={selector}")["items"]
        return {row["metadata"]["name"]: row["metadata"]["uid"] for row in rows}

    def replicas(self, name: str) -> int:
        return int(self.site.get("deployment", name)["spec"]["replicas"])

    @contextmanager
    def changed(self, where: tuple[str, str, str], old: str, new: str, pod: str) -> Iterator[None]:
        """A file of the configuration reads otherwise, and its program was started with it."""
        before = self._read(where)
        assert old in before, f"{where} has no {old}"
        try:
            self._write(where, before.replace(old, new), pod)
            yield
        finally:
            self._write(where, before, pod)

    def _read(self, where: tuple[str, str, str]) -> str:
        kind, name, key = where
        text: str = self.site.get(kind, name)["data"][key]
        return base64.b64decode(text).decode() if kind == "secret" else text

    def _write(self, where: tuple[str, str, str], text: str, pod: str) -> None:
        kind, name, key = where
        value = base64.b64encode(text.encode()).decode() if kind == "secret" else text
        self.site.kubectl("patch", kind, name, "--type=merge", f"--patch={json.dumps({'data': {key: value}})}")
        self.site.kubectl("delete", "pod", pod)
        self.site.kubectl("wait", f"pod/{pod}", "--for=condition=Ready", "--timeout=90s")


@pytest.fixture(scope="module")
def watched(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    site = KubeSite(cluster, f"alerts-{os.getpid()}", tmp_path_factory.mktemp("alerts"))
    outcome = site.run("site.yml")
    assert outcome.code == 0, outcome.output[-6000:]
    yield Watched(site)
    site.destroy(data=True)


def test_the_checks_of_monitoring_are_green(watched: Watched) -> None:
    rows = [row for row in watched.site.report()["checks"] if row["id"].startswith("monitoring.")]
    assert {row["status"] for row in rows} == {"pass", "not_applicable"}
    silent = {row["id"] for row in rows if row["status"] == "not_applicable"}
    # No exporter leaves its host, and no drill was held yet.
    assert silent == {"monitoring.exporters.closed", "monitoring.drill.recent"}


def test_while_all_is_well_no_alert_fires_for_the_whole_soak(watched: Watched) -> None:
    assert alerts.fired_during_soak(watched, watched.plan) == []


def test_the_stopped_registry_fires_and_resolves_at_the_receiver(watched: Watched) -> None:
    planned = watched.replicas("registry")
    outcome = watched.drill("registry")
    assert outcome.code == 0, outcome.output[-6000:]
    print("\n".join(alerts.hop_lines(watched.proof)))
    assert alerts.wrong_with_registry_drill(watched, watched.plan, watched.proof) == []
    assert alerts.receiver(watched, watched.plan, "/alerts")[0]["active"] == []
    assert watched.replicas("registry") == planned
    assert watched.pods("drill") == {}


def test_what_helm_has_on_record_is_what_runs_after_a_drill(watched: Watched) -> None:
    outcome = watched.site.run("playbooks/deploy.yml", "--check")
    assert (outcome.code, outcome.changed) == (0, []), outcome.output[-4000:]


def test_a_drill_in_check_mode_stops_nothing(watched: Watched) -> None:
    before = watched.pods(*APP)
    outcome = watched.drill("registry", "--check")
    assert (outcome.code, outcome.changed) == (0, []), outcome.output[-4000:]
    assert "is stopped (registry answers nobody)" in " ".join(outcome.output.split())
    assert watched.pods(*APP) == before


def test_the_registry_is_back_when_the_controller_was_killed(watched: Watched) -> None:
    planned, site = watched.replicas("registry"), watched.site
    words = [str(REPOSITORY / "collections"), str(site.cluster.kubeconfig), site.name, str(site.folder), "20"]
    killed = subprocess.run([sys.executable, "-c", DIES, *words], check=False, timeout=120, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert watched.replicas("registry") == 0
    deadline = time.monotonic() + 60
    while watched.replicas("registry") != planned:
        assert time.monotonic() < deadline, "the registry stayed away"
        time.sleep(1)
    site.kubectl("rollout", "status", "deployment/registry", "--timeout=90s")
    assert "aimesh.io/drill" not in site.get("deployment", "registry")["metadata"]["annotations"]


def test_what_a_drill_left_stopped_is_back_after_a_deploy(watched: Watched) -> None:
    planned = watched.replicas("registry")
    watched.site.kubectl("scale", "deployment/registry", "--replicas=0")
    outcome = watched.site.run("playbooks/deploy.yml")
    assert outcome.code == 0, outcome.output[-4000:]
    assert watched.replicas("registry") == planned


def test_a_broken_route_is_named(watched: Watched) -> None:
    # The first route is the ledger's; one that matches nothing leads nowhere.
    nowhere = '"matchers": ["alertname=\\"Nothing\\""], "continue": true'
    with watched.changed(ROUTES, '"continue": true', nowhere, "alertmanager-0"):
        said = broken_at(watched.drill(), "Alertmanager → receiver (critical)")
        assert "not to aimesh-ledger" in said
        assert "monitoring.alertmanager.configured" in watched.failed_checks()


def test_a_wrong_url_of_the_receiver_is_named(watched: Watched) -> None:
    with watched.changed(ROUTES, "/webhook", "/elsewhere", "alertmanager-0"):
        said = broken_at(watched.drill(), "Alertmanager → receiver (critical)")
        assert "nothing arrived at the alert receiver" in said


def test_a_rule_with_a_typo_is_named(watched: Watched) -> None:
    with watched.changed(RULES, 'up{job=~"aimesh-postgresql|', 'upp{job=~"aimesh-postgresql|', "prometheus-0"):
        said = broken_at(watched.drill(), "Prometheus → rule")
        assert "the mesh's own rule ExporterDown reads otherwise than the plan's" in said


def test_an_exporter_that_is_down_is_named(watched: Watched) -> None:
    watched.site.kubectl("scale", "deployment/redis-exporter", "--replicas=0")
    try:
        said = broken_at(watched.drill(), "target → Prometheus")
        assert "up of redis-exporter@" in said
        assert {"monitoring.targets.up", "monitoring.drill.recent"} <= watched.failed_checks()
    finally:
        watched.site.kubectl("scale", "deployment/redis-exporter", "--replicas=1")
        watched.site.kubectl("rollout", "status", "deployment/redis-exporter", "--timeout=90s")


def test_another_rule_starts_prometheus_anew_and_nothing_of_the_app(watched: Watched) -> None:
    before, seen = watched.pods(*APP), watched.pods("prometheus")
    outcome = watched.site.run("playbooks/deploy.yml", mesh_alerting={"teams": {"registry": "data"}})
    assert outcome.code == 0, outcome.output[-4000:]
    assert watched.pods(*APP) == before
    assert watched.pods("prometheus") != seen
    again = watched.site.run("playbooks/deploy.yml")
    assert again.code == 0, again.output[-4000:]


def test_after_all_that_a_drill_passes_and_the_checks_are_green(watched: Watched) -> None:
    outcome = watched.drill()
    assert outcome.code == 0, outcome.output[-6000:]
    assert watched.failed_checks() == set()

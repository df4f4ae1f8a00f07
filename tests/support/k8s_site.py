"""A site on the cluster of the suite: `inventories/kubernetes` in a namespace of its own, with its releases' images."""

from __future__ import annotations

import base64
import gzip
import json
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doctored_release import Doctored, Shelf, next_version

from tests.testbed import BASES, TestbedError, playbook
from tests.testbed.cluster import Cluster
from tests.testbed.cluster.release_images import tags
from tests.testbed.paths import REPOSITORY

QUICK = {"requests_per_second": 20}
SERVICES = ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")
SMALLER = {
    "mesh_preflight": "warn",
    "mesh_kubernetes_policies": "unenforced",
    "mesh_kubernetes_timeout_s": 240,
    "mesh_services": {name: {"cpus": 0.4} for name in SERVICES},
}
"""The cluster of a test is smaller than a site's, and its network enforces no policies; that is all that differs."""


@dataclass
class KubeSite:
    """`name` is mesh, release and namespace. What a playbook said of itself is no evidence: the cluster is asked."""

    cluster: Cluster
    name: str
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    _made: int = 0

    def __post_init__(self) -> None:
        if not client_is_installed():
            raise TestbedError("This Python has no client of Kubernetes; install it with: make venv-kubernetes")
        self.inventory = self.folder / self.name
        shutil.copytree(REPOSITORY / "inventories" / "kubernetes", self.inventory)
        hosts = self.inventory / "hosts.yml"
        hosts.write_text(hosts.read_text().replace("mesh_name: ai-mesh", f"mesh_name: {self.name}"))
        password = self.folder / "vault-password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24) + "\n")
        programs = f"{self.cluster.tools}:{Path(sys.executable).parent}"
        self.env = {
            "ANSIBLE_VAULT_PASSWORD_FILE": str(password),
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        }
        self.shelf = Shelf(self.folder / "releases", base_image=BASES["debian-13"].ensure())
        self.load(self.shelf.base)

    def load(self, release: str) -> None:
        """Every worker gets the images of a release that pods of this platform run."""
        for tag in tags(self.shelf.folder / release):
            self.cluster.load_image(tag)

    def build(self, doctored: Doctored, *, load: bool = True) -> str:
        """A release above the applied one; without `load` no node has its image."""
        self._made += 1
        version = next_version(self.applied()["release"]["version"])
        named = Doctored(f"{doctored.name}-{self._made}", doctored.hook, doctored.sql, doctored.contracts)
        release = self.shelf.add(named, version)
        if load:
            self.load(release)
        return release

    def run(self, name: str, *arguments: str, timeout: float = 900, **variables: Any) -> playbook.Outcome:
        extra = self._variables(variables)
        return playbook.run(name, self.inventory, *extra, *arguments, env=self.env, timeout=timeout)

    def begin(self, name: str, **variables: Any) -> subprocess.Popen[str]:
        """A run that is to be killed, see `playbook.kill`."""
        return playbook.begin(name, self.inventory, *self._variables(variables), env=self.env)

    def _variables(self, variables: dict[str, Any]) -> tuple[str, str]:
        given = {**SMALLER, **self.settings, "mesh_update": QUICK, "mesh_release_source": str(self.shelf.folder)}
        return "-e", json.dumps({**given, **variables})

    def update(self, release: str, **variables: Any) -> playbook.Outcome:
        return self.run("playbooks/update.yml", mesh_target_version=release, **variables)

    def destroy(self, *, data: bool) -> playbook.Outcome:
        words = {"mesh_remove_data": self.name, "mesh_remove_backups": self.name} if data else {}
        return self.run("playbooks/destroy.yml", **words)

    def report(self) -> dict[str, Any]:
        """What the last verification wrote."""
        report: dict[str, Any] = json.loads((REPOSITORY / "build" / self.name / "report.json").read_text())
        return report

    def state(self, name: str) -> Any:
        """A record of the state home, None when it is not there."""
        text = self.kubectl("get", "configmap", f"{self.name}-state-home", "--ignore-not-found", "--output=json")
        document = json.loads(text) if text.strip() else {}
        key = name.replace("/", "__")
        if key in document.get("data", {}):
            return json.loads(document["data"][key])
        packed = document.get("binaryData", {}).get(f"{key}.gz")
        return json.loads(gzip.decompress(base64.b64decode(packed))) if packed else None

    def applied(self) -> dict[str, Any]:
        plan: dict[str, Any] = self.state("applied-plan.json")
        return plan

    def last_proof(self) -> dict[str, Any]:
        """The proof of the newest rollout in the history that ran under load."""
        history = self.state("release-history.json")["releases"]
        proof: dict[str, Any] = self.state(f"rollouts/{history[-1]['run_id']}.traffic.json")
        return proof

    def images(self) -> set[str]:
        """Images of the services' pods, those that are going left out; there is always one."""
        pods = self.get("pods", f"--selector=app.kubernetes.io/instance={self.name}")["items"]
        found = {
            container["image"]
            for pod in pods
            for container in pod["spec"]["containers"]
            if container["name"] in SERVICES and not pod["metadata"].get("deletionTimestamp")
        }
        assert found, f"{self.name} has no pod of a service"
        return found

    def kubectl(self, *words: str, check: bool = True) -> str:
        return self.cluster.kubectl("--namespace", self.name, *words, check=check)

    def get(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *words, "--output=json"))
        return found

    def helm(self, *words: str) -> str:
        command = [str(self.cluster.tools / "helm"), "--kubeconfig", str(self.cluster.kubeconfig)]
        done = subprocess.run(
            [*command, "--namespace", self.name, *words], capture_output=True, text=True, check=True, timeout=120
        )
        return done.stdout


@dataclass(frozen=True)
class Pod:
    """A pod of a site as a shell."""

    site: KubeSite
    name: str

    def run(self, script: str) -> str:
        return self.site.kubectl("exec", self.name, "--", "sh", "-c", script)


def client_is_installed() -> bool:
    """Whether the Python of this run has the client that the platform needs: make venv-kubernetes."""
    code = "import kubernetes"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0

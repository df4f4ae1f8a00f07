"""The cluster of the suite `k8s`, one for all its tests, and a namespace of its own for each test that asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.testbed.cluster import Cluster
from tests.testbed.cluster.images import busybox_tag

BORROWED = "AIMESH_TEST_CLUSTER"
"""Environment variable that names a run whose cluster is up already (`lab` after `make kube-lab`); it stays up."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    borrowed = os.environ.get(BORROWED)
    if borrowed:
        yield Cluster(borrowed)
        return
    with Cluster(f"k8s-{os.getpid()}") as made:
        yield made


@pytest.fixture(scope="session")
def shell_image() -> str:
    """An image with a shell and small tools that every worker has."""
    return busybox_tag()


@dataclass(frozen=True)
class Namespace:
    cluster: Cluster
    name: str

    def kubectl(self, *words: str, check: bool = True, timeout: float = 120) -> str:
        return self.cluster.kubectl("--namespace", self.name, *words, check=check, timeout=timeout)

    def get(self, *words: str) -> dict[str, Any]:
        return self.cluster.get("--namespace", self.name, *words)

    def apply(self, *objects: dict[str, Any]) -> None:
        for each in objects:
            each["metadata"]["namespace"] = self.name
        self.cluster.apply(objects)

    def await_(self, what: str, condition: str, seconds: int = 60) -> None:
        """Wait for what `kubectl wait` calls a condition, as `condition=Available` or `jsonpath={.status.phase}=…`."""
        self.kubectl("wait", what, f"--for={condition}", f"--timeout={seconds}s", timeout=seconds + 10)

    def finished(self, pod: str, phase: str = "Succeeded") -> str:
        """The output of a pod once it has ended in `phase`."""
        self.await_(f"pod/{pod}", f"jsonpath={{.status.phase}}={phase}")
        return self.kubectl("logs", pod)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    name = request.node.name.replace("_", "-")[:50].strip("-")
    cluster.kubectl("create", "namespace", name)
    yield Namespace(cluster, name)
    cluster.kubectl("delete", "namespace", name, "--wait=false")

"""The chart as a real Helm renders it."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes import chart_values
from kubernetes_objects import CHART, Object, objects_of

PROGRAM = "AIMESH_HELM"
OLDEST, NEWEST = "1.33.0", "1.36.0"
MONITORING = ("monitoring.coreos.com/v1/ServiceMonitor", "monitoring.coreos.com/v1/PrometheusRule")


def helm() -> str:
    """Helm: that of the environment, of the search path, or of the testbed's cache; without one the test is skipped."""
    found = os.environ.get(PROGRAM) or shutil.which("helm") or _of_the_testbed()
    if not found:
        pytest.skip(f"there is no helm; install it, name it with {PROGRAM}=<path>, or compile it with make test-k8s")
    return found


def _of_the_testbed() -> str | None:
    try:
        programs: dict[str, Any] = importlib.import_module("tests.testbed.cluster.binaries").PROGRAMS
    except ImportError:
        return None
    path = Path(programs["helm"].path)
    return str(path) if path.exists() else None


def run_helm(*arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Helm with values on standard input."""
    given = ["--values", "-"] if values is not None else []
    return subprocess.run(
        [helm(), *arguments, *given],
        input=yaml.safe_dump(values) if values is not None else "",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"KUBECONFIG": "/nonexistent"},
    )


def rendered(plan: dict[str, Any], *apis: str, version: str = NEWEST, hooks: bool = True) -> list[Object]:
    """Objects of a plan's release; `apis` are those that the cluster has besides its own."""
    return objects_of(_rendered(json.dumps(plan), apis, version, hooks))


@cache
def _rendered(plan: str, apis: tuple[str, ...], version: str, hooks: bool) -> str:
    document = json.loads(plan)
    cluster = document["kubernetes"]
    options = [part for api in apis for part in ("--api-versions", api)]
    options += [] if hooks else ["--no-hooks"]
    where = (cluster["release"], str(CHART), "--namespace", cluster["namespace"], "--kube-version", version)
    done = run_helm("template", *where, *options, values=chart_values(document))
    assert done.returncode == 0, done.stderr
    return done.stdout

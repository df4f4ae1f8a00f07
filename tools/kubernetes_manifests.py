#!/usr/bin/env python3
"""Writes the chart's own values and k8s/*.yaml from the plan by example; `--check` only says whether they are current.

    python tools/kubernetes_manifests.py [--check] [--helm PROGRAM]

`values.yaml` is made from the plan alone; for `k8s/` the chart is rendered by Helm.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "ai-agent-mesh"
MANIFESTS = ROOT / "k8s"
PLAN = ROOT / "tests" / "fixtures" / "plan_kubernetes.json"
PACKAGE = "ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes"
KUBERNETES = "1.35.0"
"""Version that Helm is told when there is no cluster to ask."""


def wanted_values(plan: dict[str, Any]) -> dict[Path, str]:
    """The chart's defaults."""
    module = importlib.import_module(f"{PACKAGE}.manifests")
    return {CHART / "values.yaml": module.default_values(plan)}


def wanted_manifests(plan: dict[str, Any], helm: str) -> dict[Path, str]:
    """Files of `k8s/`. Raises CalledProcessError with Helm's words in it."""
    module = importlib.import_module(f"{PACKAGE}.manifests")
    cluster = plan["kubernetes"]
    command = [helm, "template", cluster["release"], str(CHART), "--namespace", cluster["namespace"]]
    command += ["--kube-version", KUBERNETES, "--no-hooks", "--values", "-"]
    done = subprocess.run(
        command, input=module.values_text(plan), capture_output=True, text=True, check=True, timeout=60
    )
    return {MANIFESTS / name: text for name, text in module.manifest_files(plan, done.stdout).items()}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Write the chart's values.yaml and k8s/ from the plan by example.")
    parser.add_argument("--check", action="store_true", help="only say whether they are current")
    parser.add_argument("--helm", default=os.environ.get("AIMESH_HELM") or shutil.which("helm"), metavar="PROGRAM")
    options = parser.parse_args(arguments)
    if not options.helm:
        sys.stderr.write("kubernetes_manifests: there is no helm; install it, or name it with AIMESH_HELM=<path>\n")
        return 2
    sys.path.insert(0, str(ROOT / "collections"))
    plan: dict[str, Any] = json.loads(PLAN.read_text(encoding="utf-8"))
    try:
        wanted = wanted_values(plan) | wanted_manifests(plan, options.helm)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"kubernetes_manifests: helm cannot render the chart: {error.stderr.strip()}\n")
        return 1
    present = {path: path.read_text(encoding="utf-8") for path in [CHART / "values.yaml", *MANIFESTS.glob("*.yaml")]}
    if options.check:
        other = sorted(
            str(path.relative_to(ROOT)) for path in wanted | present if wanted.get(path) != present.get(path)
        )
        if other:
            sys.stderr.write(f"Not what the chart makes of the plan by example: {', '.join(other)}; run: make k8s\n")
        return 1 if other else 0
    MANIFESTS.mkdir(exist_ok=True)
    for path in present.keys() - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

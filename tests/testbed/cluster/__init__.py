"""A real Kubernetes cluster on one machine: compiled once, up in about a minute, gone without a trace.

`with Cluster("k8s-1") as cluster:` gives nodes, a kubeconfig and faults; `python -m tests.testbed.cluster` is the same
for shells. The product never looks in here: it gets a kubeconfig.
"""

from __future__ import annotations

from .cluster import Cluster

__all__ = ["Cluster"]

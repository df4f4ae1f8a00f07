"""The option by which modules find a Kubernetes cluster."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  cluster:
    description: Where the mesh is. The operator's kubeconfig and its current context are read and never changed.
    type: dict
    required: true
    suboptions:
      kubeconfig:
        description:
          - Path of the kubeconfig. Without it what E(KUBECONFIG) names, else C(~/.kube/config), else, in a pod, its
            service account.
        type: str
        default: ""
      context:
        description: Context of the kubeconfig. Without it, the current one.
        type: str
        default: ""
      namespace:
        description: Namespace of the mesh.
        type: str
        required: true
"""

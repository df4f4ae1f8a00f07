"""The options of modules that bring the objects of a mesh's chart to a cluster."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - Helm 3.18 or later, or 4.1 or later, on the controller
options:
  chart:
    description: Folder or archive of the chart. Filled in by the action plugin.
    type: str
    default: ""
  values:
    description: Values of the chart. Filled in by the action plugin.
    type: dict
    default: {}
  timeout_s:
    description: Seconds that a rollout may take.
    type: float
    default: 600.0
  grace_s:
    description: Seconds that an image pull or a refusal may take to mend itself before it counts.
    type: float
    default: 20.0
  helm:
    description: The program.
    type: str
    default: helm
"""

"""The options by which modules know the objects of a mesh in a Kubernetes cluster."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - the Python package C(kubernetes) where the module runs
options:
  mesh:
    description: Name of the mesh. Filled in by the action plugin.
    type: str
    default: ""
  release:
    description: Name of the release, which all its objects carry. Filled in by the action plugin.
    type: str
    required: true
"""

"""More and fewer replicas, and other limits, while the mesh serves. Part of `make acceptance`."""

from __future__ import annotations

from scale_stories import ScaleStories


class TestScaleOnVm(ScaleStories):
    """`bench` is a VM of its own with `inventories/small`."""

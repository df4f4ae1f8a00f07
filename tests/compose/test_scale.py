"""More and fewer replicas, and other limits, while the mesh serves. Part of `make acceptance`."""

from __future__ import annotations

from scale_stories import ScaleStories


class TestScaleOnCompose(ScaleStories):
    """`bench` is a Compose host of its own with `inventories/compose`."""

"""How long an update on a Compose host takes. Part of `make acceptance`."""

from __future__ import annotations

from timing_stories import TimingStories


class TestTimingOnCompose(TimingStories):
    """`bench` is a Compose host of its own with `inventories/compose`."""

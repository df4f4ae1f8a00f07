"""How long an update on a VM takes. Part of `make acceptance`."""

from __future__ import annotations

from timing_stories import TimingStories


class TestTimingOnVm(TimingStories):
    """`bench` is a VM of its own with `inventories/small`."""

"""Builds that break in other ways than not becoming ready, and updates that are cut off. Part of `make acceptance`."""

from __future__ import annotations

from fault_stories import FaultStories, InterruptionStories
from previous_stories import PreviousReleaseStories


class TestFaultsOnCompose(FaultStories):
    """`bench` is a Compose host of its own with `inventories/compose`."""


class TestInterruptionsOnCompose(InterruptionStories):
    """The same host."""


class TestPreviousReleaseOnCompose(PreviousReleaseStories):
    """The same host."""

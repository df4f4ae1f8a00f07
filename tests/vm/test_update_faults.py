"""Builds that break in other ways than not becoming ready, and updates that are cut off. Part of `make acceptance`."""

from __future__ import annotations

from fault_stories import FaultStories, InterruptionStories
from previous_stories import PreviousReleaseStories


class TestFaultsOnVm(FaultStories):
    """`bench` is a VM of its own with `inventories/small`."""


class TestInterruptionsOnVm(InterruptionStories):
    """The same VM."""


class TestPreviousReleaseOnVm(PreviousReleaseStories):
    """The same VM."""

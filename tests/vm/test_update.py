"""Update and rollback of a mesh on a VM under load, and what happens when a build is broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from story_bench import Bench
from update_stories import UpdateStories

from tests.testbed import footprint

WATCHING = ("exporter", "alert", "prometheus")


def watching(bench: Bench) -> dict[str, str]:
    """Starts of the units that watch the mesh."""
    return {name: start for name, start in bench.starts().items() if any(word in name for word in WATCHING)}


class TestUpdateOnVm(UpdateStories):
    """`bench` is a VM of its own with `inventories/small`."""

    @pytest.fixture(autouse=True)
    def _nothing_that_watches_is_touched(self, bench: Bench) -> Iterator[None]:
        """By no update, no rollback, and no deploy between them: nothing that they load tells of a release."""
        before = watching(bench)
        assert len(before) == 7
        yield
        assert footprint.restarts(before, watching(bench)) == []

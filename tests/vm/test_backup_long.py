"""Backups on a VM: object storage, drills, moments that are not reached. Part of `make acceptance`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backed_site import Backed, backing
from object_store_stories import ObjectStoreStories
from restore_drill_stories import RestoreDrillStories
from restore_stories import UnreachedStories
from story_bench import Bench

from tests.testbed import Testbed, object_store
from tests.testbed.object_store import ObjectStore


@pytest.fixture(scope="module")
def store(bed: Testbed) -> ObjectStore:
    return object_store.start(bed)


@pytest.fixture(scope="module")
def backed(bench: Bench) -> Iterator[Backed]:
    yield from backing(Backed(bench.site, bench.arguments()))


class TestObjectStoreOnVm(ObjectStoreStories):
    """A repository elsewhere."""


class TestRestoreDrillsOnVm(RestoreDrillStories):
    """What a drill measures, and what turns it red."""


class TestUnreachedOnVm(UnreachedStories):
    """Negative control of a restore to a moment."""

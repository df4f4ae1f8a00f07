"""Backups and restores of `inventories/small` on a VM of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backed_site import Backed, wish
from backup_stories import BackupStories
from restore_stories import RestoreStories

from tests.testbed import Testbed
from tests.testbed.site import Site

NAME, ADDRESS = "backed1", "192.0.2.10"


@pytest.fixture(scope="module")
def backed(bed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    made = Backed(Site("small", bed, tmp_path_factory.mktemp("backed"), {ADDRESS: bed.start(NAME)}), wish())
    outcome = made.run("deploy")
    assert outcome.code == 0, outcome.output[-6000:]
    yield made
    bed.lose(NAME)


class TestBackupsOnVm(BackupStories):
    """What is made, and what is broken is told."""


class TestRestoresOnVm(RestoreStories):
    """Lost data come back."""

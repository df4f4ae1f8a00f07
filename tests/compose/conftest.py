"""Hosts of the suite `compose`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from compose_host import Foreign
from machine_turns import (  # noqa: F401 - hooks of this folder
    pytest_collection_modifyitems,
    pytest_runtest_call,
    pytest_runtest_setup,
    pytest_runtest_teardown,
)
from story_bench import Bench, compose_bench, until_its_last_test

from tests.testbed import BASES, Testbed
from tests.testbed.paths import REPOSITORY
from tests.testbed.site import Site

STORIES = ("backup", "fault", "monitoring", "previous", "restore", "restore_drill", "scale", "timing", "update")
pytest.register_assert_rewrite("story_claims", "backed_site", *(f"{name}_stories" for name in STORIES))


@pytest.fixture(scope="session")
def bed() -> Iterator[Testbed]:
    with Testbed(f"compose-{os.getpid()}") as made:
        yield made


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """`inventories/compose` on a host of its own, for tests that take it from release to release."""
    return compose_bench(lambda: request.getfixturevalue("bed"), tmp_path_factory.mktemp("rollouts"))


@pytest.fixture(scope="module", autouse=True)
def _bench_goes_with_its_last_test(request: pytest.FixtureRequest) -> Iterator[None]:
    yield from until_its_last_test(request)


@pytest.fixture(scope="session")
def images() -> None:
    """The current release has its images."""
    command = [sys.executable, str(REPOSITORY / "tools/images.py"), "--base", BASES["debian-13"].ensure()]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def bare(bed: Testbed, images: None, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """`inventories/compose` on a fresh host, not deployed yet."""
    return Site("compose", bed, tmp_path_factory.mktemp("compose"), {"192.0.2.10": bed.start_compose_host("node1")})


@pytest.fixture(scope="session")
def foreign(bare: Site) -> Foreign:
    """Somebody else's project on that host, there before the mesh."""
    return Foreign.started_on(bare.vms[0])


@pytest.fixture(scope="session")
def compose(bare: Site, foreign: Foreign) -> Site:
    """The same after its first `site.yml`."""
    outcome = bare.run("site.yml")
    assert outcome.code == 0, outcome.output[-6000:]
    return bare

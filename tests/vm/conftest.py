"""Hosts of the suite `vm`. One VM carries the site `small` for all tests that leave it as they found it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine_turns import (  # noqa: F401 - hooks of this folder
    pytest_collection_modifyitems,
    pytest_runtest_call,
    pytest_runtest_setup,
    pytest_runtest_teardown,
)
from story_bench import Bench, until_its_last_test, vm_bench

from tests.testbed import Testbed
from tests.testbed.site import Site

STORIES = ("backup", "fault", "monitoring", "previous", "restore", "restore_drill", "scale", "timing", "update")
pytest.register_assert_rewrite("story_claims", "backed_site", *(f"{name}_stories" for name in STORIES))


@pytest.fixture(scope="session")
def bed() -> Iterator[Testbed]:
    with Testbed(f"vm-{os.getpid()}") as made:
        yield made


@pytest.fixture(scope="session")
def small(bed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """`inventories/small`, deployed on a fresh VM."""
    site = Site("small", bed, tmp_path_factory.mktemp("small"), {"192.0.2.10": bed.start("vm1")})
    outcome = site.run("site.yml")
    assert outcome.code == 0, outcome.output[-6000:]
    return site


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """`inventories/small` on a VM of its own, for tests that take it from release to release."""
    return vm_bench(lambda: request.getfixturevalue("bed"), tmp_path_factory.mktemp("rollouts"))


@pytest.fixture(scope="module", autouse=True)
def _bench_goes_with_its_last_test(request: pytest.FixtureRequest) -> Iterator[None]:
    yield from until_its_last_test(request)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path

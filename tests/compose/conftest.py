"""Hosts of the suite `compose`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from story_bench import Bench, compose_bench

from tests.testbed import Testbed

STORIES = ("fault", "previous", "scale", "timing", "update")
pytest.register_assert_rewrite("story_claims", *(f"{name}_stories" for name in STORIES))


@pytest.fixture(scope="session")
def bed() -> Iterator[Testbed]:
    with Testbed(f"compose-{os.getpid()}") as made:
        yield made


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """`inventories/compose` on a host of its own, for tests that take it from release to release."""
    return compose_bench(lambda: request.getfixturevalue("bed"), tmp_path_factory.mktemp("rollouts"))

"""Turns on the machine: a test marked `measured` has it alone among the suites that work on real hosts.

The gate runs suites side by side. What one of them does to the processors and the disk must not show in what another
one measures of a mesh under load. A `conftest.py` of such a suite imports the hooks. What the fixtures of a measured
test build, they may build beside others; a test marked `hostless` computes, as the suites without hosts do, and takes
no turn.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.testbed.paths import REPOSITORY

FOLDER = REPOSITORY / "build"
MEASURED, HOSTLESS = "measured", "hostless"


class Turns:
    """Many may share the machine, or one has it alone; who waits to be alone goes before those that come later."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._queue = folder / "machine.queue"
        self._machine = folder / "machine.turn"

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._taken(fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._taken(fcntl.LOCK_EX):
            yield

    @contextmanager
    def _taken(self, how: int) -> Iterator[None]:
        # The kernel gives a lock back when its process ends, however that ends.
        with self._machine.open("a") as machine:
            with self._queue.open("a") as queue:
                fcntl.flock(queue, fcntl.LOCK_EX)
                fcntl.flock(machine, how)
            yield


def turn_of(item: pytest.Item, mark: str = "") -> AbstractContextManager[None]:
    """How an item has the machine, alone when it has `mark`."""
    turns = Turns(FOLDER)
    if item.get_closest_marker(HOSTLESS):
        return nullcontext()
    return turns.alone() if mark and item.get_closest_marker(mark) else turns.shared()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    with turn_of(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    asked = time.monotonic()
    with turn_of(item, MEASURED):
        item.user_properties.append(("waited_s", round(time.monotonic() - asked, 1)))
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    with turn_of(item):
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that measure come first: beside them the gate runs suites without hosts, and nobody has to wait."""
    measuring = {item.path for item in items if item.get_closest_marker(MEASURED)}
    items.sort(key=lambda item: item.path not in measuring)

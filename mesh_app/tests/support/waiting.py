"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(claim: Callable[[], bool], timeout: float = 15.0) -> None:
    """Until `claim` is true; raises after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not claim():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come true in time")
        time.sleep(0.05)

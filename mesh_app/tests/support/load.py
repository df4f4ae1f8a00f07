"""Light, steady load from threads, and what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .mesh import Answer


@dataclass
class Load:
    """One entry per request: when it ended (monotonic seconds) and its status, 0 for none."""

    results: list[tuple[float, int]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def failed(self, expected: int) -> list[tuple[float, int]]:
        return [(at, status) for at, status in self.results if status != expected]

    def wait_for(self, more: int, timeout: float = 20.0) -> None:
        """Until as many more requests have ended."""
        deadline, wanted = time.monotonic() + timeout, len(self.results) + more
        while len(self.results) < wanted:
            assert time.monotonic() < deadline, "the load stands still"
            time.sleep(0.01)


@contextmanager
def running_load(request: Callable[[], Answer], threads: int = 4, pause: float = 0.03) -> Iterator[Load]:
    """Repeats `request` in some threads until the block ends."""
    load, stop = Load(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                answer = request()
                load.answers.append(answer)
                status = answer.status
            except OSError:
                status = 0
            load.results.append((time.monotonic(), status))
            stop.wait(pause)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield load
    finally:
        stop.set()
        for worker in workers:
            worker.join()

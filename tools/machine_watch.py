"""What the machine did while suites ran on it: how long a small thing took at worst, and when.

On a machine that stands still for seconds, what waits for at most two seconds fails. These numbers tell such a run from
one that found something.
"""

from __future__ import annotations

import datetime
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

NAP_S = 0.1
SYNC_EVERY_S = 2.0
BLOCK = b"\0" * 4096


@dataclass
class Worst:
    """The longest of some durations."""

    seconds: float = 0.0
    at: str = ""

    def see(self, seconds: float) -> None:
        if seconds > self.seconds:
            self.seconds, self.at = seconds, datetime.datetime.now().strftime("%H:%M:%S")

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s at {self.at}" if self.at else "never"


@dataclass
class MachineWatch:
    """Naps and small writes in a thread of its own, for as long as the block lasts; `folder` is on the disk meant."""

    folder: Path
    late: Worst = field(default_factory=Worst)
    synced: Worst = field(default_factory=Worst)

    def __enter__(self) -> MachineWatch:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ended = threading.Event()
        self._stolen, self._all = processor_time()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._nap, self._sync)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _nap(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            time.sleep(NAP_S)
            self.late.see(time.monotonic() - began - NAP_S)

    def _sync(self) -> None:
        path = self.folder / "machine.sync"
        while not self._ended.wait(SYNC_EVERY_S):
            with path.open("wb") as stream:
                stream.write(BLOCK)
                stream.flush()
                began = time.monotonic()
                os.fsync(stream.fileno())
                self.synced.see(time.monotonic() - began)

    def __str__(self) -> str:
        stolen, everything = processor_time()
        share = 100 * (stolen - self._stolen) / max(1, everything - self._all)
        return (
            f"machine: woke late by at most {self.late}, wrote 4 kB to disk in at most {self.synced};"
            f" {share:.0f} % of its processors' time went to other machines"
        )


def processor_time() -> tuple[int, int]:
    """Ticks that other machines took, and all ticks, since the machine started."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)

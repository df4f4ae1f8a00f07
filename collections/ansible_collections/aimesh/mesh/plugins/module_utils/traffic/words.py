"""What a run tells its generator while that is at work: words with their times, in a file that both know."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from .proof import Marks

START, DURING, AFTER, STOP = "start", "during", "after", "stop"


class Words:
    """The words of one file, read again when it has grown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = -1
        self._words: list[dict[str, Any]] = []

    def say(self, word: str, **more: Any) -> None:
        """`start`, `during`, `after` or `stop`, with the time."""
        line = json.dumps({"word": word, "t": time.time(), **more}) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def stop(self) -> bool:
        return any(word["word"] == STOP for word in self._all())

    def last(self) -> float:
        """Wall-clock second of the last word, 0 when there was none."""
        words = self._all()
        return float(words[-1]["t"]) if words else 0.0

    def marks(self) -> Marks:
        """The first `during` counts, and the last `after`."""
        words = self._all()
        during = next((word["t"] for word in words if word["word"] == DURING), None)
        after = next((word for word in reversed(words) if word["word"] == AFTER), None)
        return Marks(during, after["t"] if after else None, str(after.get("release") or "") if after else "")

    def _all(self) -> list[dict[str, Any]]:
        try:
            size = self._path.stat().st_size
            if size != self._size:
                text = self._path.read_text(encoding="utf-8")
                self._words = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
                self._size = size
        except FileNotFoundError:
            return []
        return self._words

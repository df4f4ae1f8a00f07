"""Results on disk: one summary per run with the checksums of its raw latencies."""

from __future__ import annotations

import gzip
import hashlib
import json
from array import array
from pathlib import Path
from typing import Any

from benchmarks.app.load import LoadResult


class History:
    """Writes `<name>.json` below `directory`, and the raw latencies beside it in `<name>/`."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory, self._name = directory, name
        self._raw = directory / name
        self._raw.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, dict[str, Any]] = {}

    def keep(self, number: int, result: LoadResult) -> None:
        """Latencies of one run as gzipped little-endian unsigned 32-bit microseconds, in the order of the answers."""
        values = array("I", (min(value, 2**32 - 1) for value in result.latencies_us))
        path = self._raw / f"{number:02d}.u32.gz"
        path.write_bytes(gzip.compress(values.tobytes(), mtime=0))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self._files[path.name] = {"sha256": digest, "answers": len(values), "failures": result.failures}

    def finish(self, summary: dict[str, Any]) -> Path:
        path = self._directory / f"{self._name}.json"
        path.write_text(json.dumps({**summary, "raw": self._files}, indent=1, ensure_ascii=False) + "\n")
        return path

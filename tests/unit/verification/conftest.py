"""Paths of the harness, and its checks loaded once."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HARNESS = ROOT / "tests" / "verification"

for path in (HARNESS, Path(__file__).parent):
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))


def _load_checks() -> None:
    from vocabulary.check import CATALOGUE

    if CATALOGUE:
        return
    for path in sorted((HARNESS / "checks").glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"mesh_checks_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)


_load_checks()

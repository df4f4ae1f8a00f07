"""Modules run here as they do on a host: a Python process of their own, arguments in, one JSON result out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import module_runner
import pytest

RunModule = Callable[..., dict[str, Any]]


@pytest.fixture
def run_module() -> RunModule:
    """`run_module(name, check=False, **arguments)` → the module's result; all of it as text in `raw`."""

    def run(name: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        result = module_runner.run_module(name, arguments, check=check, diff=True)
        return result | {"raw": json.dumps(result)}

    return run

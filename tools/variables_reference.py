#!/usr/bin/env python3
"""Writes docs/variables.md from the specification of the variables; `--check` only says whether it is current."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "variables.md"
REFERENCE = "ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.reference"


def main(arguments: list[str]) -> int:
    sys.path.insert(0, str(ROOT / "collections"))
    text: str = importlib.import_module(REFERENCE).page()
    if "--check" not in arguments:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("docs/variables.md is not what the variables say; run: make docs\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

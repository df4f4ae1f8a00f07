#!/usr/bin/env python3
"""Writes dashboards/*.json from the plan of a small mesh; `--check` only says whether they are current."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "dashboards"
PACKAGE = "ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards"


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "unit" / "monitoring")]
    plan: dict[str, Any] = importlib.import_module("dashboard_plans").small_plan()
    wanted: dict[str, str] = importlib.import_module(PACKAGE).dashboard_files(plan)
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    if "--check" in arguments:
        other = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
        if other:
            sys.stderr.write(
                f"dashboards/ is not what the plan of a small mesh says ({', '.join(other)}); run: make dashboards\n"
            )
        return 1 if other else 0
    folder.mkdir(exist_ok=True)
    for name in present.keys() - wanted.keys():
        (folder / name).unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

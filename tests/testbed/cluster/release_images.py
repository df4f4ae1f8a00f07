"""Images of a built release that pods of the mesh run, for a cluster without a registry."""

from __future__ import annotations

import json
from pathlib import Path

from ..command import TestbedError
from ..paths import REPOSITORY

DIST = REPOSITORY / "dist"
RUN_BY_PODS = ("mesh-app", "postgresql", "redis", "monitoring")
"""What the plan of a mesh in a cluster has; a unit test holds this against it."""


def newest(dist: Path = DIST) -> Path:
    """The release that `make release` built last. Raises TestbedError."""
    try:
        current: dict[str, str] = json.loads((dist / "current.json").read_text())
        return max((dist / name for name in current.values()), key=lambda path: (path / "release.json").stat().st_mtime)
    except (OSError, ValueError):
        raise TestbedError(f"There is no release in {dist}; build it with: make images BASE=…") from None


def tags(release: Path) -> list[str]:
    """As Docker lists them. Raises TestbedError for a release whose images are not built."""
    images = json.loads((release / "release.json").read_text())["images"]
    missing = [name for name in RUN_BY_PODS if name not in images]
    if missing:
        raise TestbedError(f"The release {release.name} has no image {missing[0]}; build it with: make images BASE=…")
    return [str(images[name]["tag"]) for name in RUN_BY_PODS]

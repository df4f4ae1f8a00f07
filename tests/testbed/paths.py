"""Where the testbed keeps its files."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache" / "testbed"
DEB_VOLUME = "aimesh-testbed-debs"
"""Volume with the Debian packages that VMs have downloaded, so that the next VM need not."""

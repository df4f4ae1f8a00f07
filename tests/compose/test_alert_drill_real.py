"""An alert at the mesh's own pace, on the Compose host that carries `inventories/compose`."""

from __future__ import annotations

import pytest
from monitoring_stories import RealDrillStories, Watched

from tests.testbed.site import Site


@pytest.fixture
def watched(compose: Site) -> Watched:
    return Watched(compose)


class TestRealDrillOnCompose(RealDrillStories):
    """`watched` is left as it was found."""

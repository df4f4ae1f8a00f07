"""An alert at the mesh's own pace, on the VM that carries `inventories/small`."""

from __future__ import annotations

import pytest
from monitoring_stories import RealDrillStories, Watched

from tests.testbed.site import Site


@pytest.fixture
def watched(small: Site) -> Watched:
    return Watched(small)


class TestRealDrillOnVm(RealDrillStories):
    """`watched` is left as it was found."""

"""Alerts arrive, on the VM that carries `inventories/small`; each broken hop is named."""

from __future__ import annotations

import pytest
from monitoring_stories import MonitoringStories, Watched

from tests.testbed.site import Site


@pytest.fixture
def watched(small: Site) -> Watched:
    return Watched(small)


class TestAlertsOnVm(MonitoringStories):
    """`watched` is left as it was found."""

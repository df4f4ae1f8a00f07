"""Alerts arrive, on the Compose host that carries `inventories/compose`; each broken hop is named."""

from __future__ import annotations

import pytest
from monitoring_stories import MonitoringStories, Watched

from tests.testbed.site import Site


@pytest.fixture
def watched(compose: Site) -> Watched:
    return Watched(compose)


class TestAlertsOnCompose(MonitoringStories):
    """`watched` is left as it was found."""

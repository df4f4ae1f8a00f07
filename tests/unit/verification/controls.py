"""Negative controls: for every check at least one mesh in which it must fail, and what it then says."""

from __future__ import annotations

from control_kit import Control
from controls_backup import CONTROLS as OF_BACKUPS
from controls_cluster import CONTROLS as OF_CLUSTERS
from controls_container import CONTROLS as OF_CONTAINERS
from controls_host import CONTROLS as OF_HOSTS
from controls_monitoring import CONTROLS as OF_MONITORING
from controls_rollout import CONTROLS as OF_ROLLOUTS
from controls_service import CONTROLS as OF_SERVICES
from controls_store import CONTROLS as OF_STORES

CONTROLS: list[Control] = [
    *OF_SERVICES,
    *OF_HOSTS,
    *OF_CLUSTERS,
    *OF_CONTAINERS,
    *OF_STORES,
    *OF_ROLLOUTS,
    *OF_MONITORING,
    *OF_BACKUPS,
]

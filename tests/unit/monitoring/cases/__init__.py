"""What is claimed of every rule, one module for each module of rules."""

from __future__ import annotations

from ..claims import Case
from . import (
    backups,
    burn_rates,
    certificates,
    exporters,
    hosts,
    meta,
    policies,
    postgresql,
    redis,
    refusals,
    restarts,
    services,
)

MODULES = (
    services,
    burn_rates,
    refusals,
    policies,
    postgresql,
    redis,
    backups,
    certificates,
    hosts,
    restarts,
    exporters,
    meta,
)
ALL: tuple[Case, ...] = tuple(case for module in MODULES for case in module.CASES)

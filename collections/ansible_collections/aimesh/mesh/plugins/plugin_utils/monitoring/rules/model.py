"""What a rule is, before it becomes a line of a Prometheus rule file.

Expressions are written so that each `and`, `or` and `unless` begins a line: people read them that way, and the tests
take such a line out to see that somebody misses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CRITICAL, WARNING, TICKET, NONE = "critical", "warning", "ticket", "none"
"""Wake somebody; look today; look this week; tell no person."""
OF_SERIES = "{{ $labels.service }}"
"""`service` of an alert whose series say which service they are about."""


@dataclass(frozen=True)
class Recording:
    """A series that Prometheus computes and keeps under the name `record`."""

    record: str
    expr: str


@dataclass(frozen=True)
class Alert:
    """`held`: how long the expression must be true, at scale 1; None: no time. `service`: what it is about."""

    name: str
    expr: str
    held: str | None
    severity: str
    service: str
    summary: str
    description: str


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after another, so that a later one sees what an earlier one recorded."""

    name: str
    rules: Sequence[Alert | Recording]

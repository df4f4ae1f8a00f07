"""What the panels of dashboards ask Prometheus, taken out of their JSON, and what is wrong with the answers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EMPTY_MARK = "May be empty: "
INTERVAL = "1m"
WORDS = frozenset(("and", "or", "unless", "offset", "bool", "inf", "nan"))


@dataclass(frozen=True)
class PanelQuery:
    dashboard: str
    panel: str
    expr: str
    may_be_empty: bool

    @property
    def where(self) -> str:
        return f"{self.dashboard} / {self.panel}"


def queries(dashboard: Mapping[str, Any]) -> Iterator[PanelQuery]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            marked = EMPTY_MARK in panel["description"]
            yield PanelQuery(dashboard["title"], panel["title"], target["expr"], marked)


def filled_in(expr: str, choices: Mapping[str, str] | None = None) -> str:
    """The expression as Grafana sends it, with a value for each of its variables."""
    expr = expr.replace("$__rate_interval", INTERVAL)
    for name, value in (choices or {}).items():
        expr = re.sub(rf"\${name}\b", value.replace("\\", r"\\"), expr)
    assert "$" not in expr, f"a variable without a value: {expr}"
    return expr


def metric_names(expr: str) -> set[str]:
    """The metrics that an expression reads: every identifier that is no label, no function and no word of PromQL."""
    bare = re.sub(r'"[^"]*"', "", expr)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    found = re.findall(r"[a-zA-Z_:][\w:]*(?!\w|\s*\()", bare)
    return {name for name in found if name.lower() not in WORDS and not re.fullmatch(r"e\d*", name)}


def has_data(answer: list[dict[str, Any]]) -> bool:
    return any(not math.isnan(float(series["value"][1])) for series in answer)

"""A dashboard as Grafana's JSON: schema version 39, which Grafana 10.4 writes and 11 reads.

Field names follow Grafana's own description, `kinds/dashboard/dashboard_kind.cue` and the `panelcfg.cue` of the panels
in its repository; `tests/unit/monitoring/dashboard_schema.json` is the part of it that is used here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.dashboards.model import (
    Dashboard,
    Mappings,
    Panel,
    Query,
    Row,
    Steps,
    Variable,
)

SCHEMA_VERSION = 39
COLUMNS = 24
DATASOURCE_UID = "aimesh-prometheus"
DATASOURCE = {"type": "prometheus", "uid": DATASOURCE_UID}
TAG = "aimesh"
WITHOUT_TIME = {"id": "organize", "options": {"excludeByName": {"Time": True, "__name__": True}}}
EMPTY_MARK = "May be empty: "
"""Begins the sentence in the help of a panel that says why it may have no data."""


def dashboard_text(dashboard: Dashboard) -> str:
    """The file's content, the same for the same dashboard."""
    return json.dumps(dashboard_json(dashboard), indent=2, ensure_ascii=False) + "\n"


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.text,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": dashboard.since, "to": "now"},
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "links": [_links()],
        "annotations": {"list": []},
        "templating": {"list": [_variable(variable) for variable in dashboard.variables]},
        "panels": list(_panels(dashboard.rows)),
    }


def _links() -> dict[str, Any]:
    """A menu of all dashboards of the mesh; the time range goes along."""
    return {
        "type": "dashboards",
        "title": "Dashboards of the mesh",
        "tags": [TAG],
        "asDropdown": True,
        "icon": "external link",
        "includeVars": False,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }


def _variable(variable: Variable) -> dict[str, Any]:
    query = f"label_values({variable.metric}, {variable.label})"
    # Nothing chosen would be an empty matcher; a variable of several starts with all of them.
    chosen = {"text": ["All"], "value": ["$__all"]} if variable.several else {}
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.title,
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"variable-{variable.name}"},
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "hide": 0,
        "includeAll": variable.several,
        "multi": variable.several,
        "options": [],
        "skipUrlSync": False,
        "current": chosen,
    }


def _panels(rows: tuple[Row, ...]) -> Iterator[dict[str, Any]]:
    """Rows and panels in reading order; ids count up, and places follow from widths alone."""
    number, top = 0, 0
    for row in rows:
        number += 1
        yield _row(row, number, top)
        top += 1
        left, tallest = 0, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            number += 1
            yield _panel(panel, number, {"h": panel.height, "w": panel.width, "x": left, "y": top})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest


def _row(row: Row, number: int, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "row",
        "title": row.title,
        "collapsed": False,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
        "panels": [],
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": _help(panel),
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(panel, query, "ABCDEFGH"[at]) for at, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel),
        "transformations": [WITHOUT_TIME] if panel.kind == "table" else [],
    }


def _help(panel: Panel) -> str:
    reason = f"{EMPTY_MARK}{panel.may_be_empty}" if panel.may_be_empty else ""
    return " ".join(part for part in (panel.text, reason) if part)


def _target(panel: Panel, query: Query, letter: str) -> dict[str, Any]:
    now = panel.kind != "timeseries"
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": now,
        "range": not now,
        "format": "table" if panel.kind == "table" else "time_series",
    }


def _field(panel: Panel) -> dict[str, Any]:
    field: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": _thresholds(panel.steps),
        "mappings": [_mapping(panel.mappings)] if panel.mappings else [],
        "custom": _custom(panel),
    }
    if panel.may_be_empty:
        field["noValue"] = "no data yet"
    bounds = {"decimals": panel.decimals, "min": panel.minimum, "max": panel.maximum}
    return field | {name: value for name, value in bounds.items() if value is not None}


def _thresholds(steps: Steps) -> dict[str, Any]:
    first: dict[str, Any] = {"color": steps.base, "value": None}
    return {"mode": "absolute", "steps": [first, *({"color": color, "value": value} for value, color in steps.steps)]}


def _mapping(mappings: Mappings) -> dict[str, Any]:
    texts = {
        f"{value:g}": {"text": text, "color": color, "index": at} for at, (value, text, color) in enumerate(mappings)
    }
    return {"type": "value", "options": texts}


def _custom(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        return {
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacked else 5,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.steps.steps else "off"},
        }
    if panel.kind == "table":
        cells = {"type": "color-text" if panel.mappings else "auto"}
        return {"align": "auto", "cellOptions": cells, "filterable": True}
    return {}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    return {
        "colorMode": "background" if panel.steps.steps or panel.mappings else "none",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }

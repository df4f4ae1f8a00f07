"""What the pages are made of: charts, colours, filters, and how many calls a page costs."""

from __future__ import annotations

import asyncio
import re
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from starlette.requests import Request
from support.alerts import receiver_process
from support.mesh import Mesh
from test_ui import page

from mesh.access.identity import ANONYMOUS
from mesh.core.settings import AlertReceiver
from mesh.ui.alerts import Alerts
from mesh.ui.chart import BOTTOM, LEFT, RIGHT, TOP, sample_charts, scale, series_charts, short
from mesh.ui.pages import Gathered, ago
from mesh.ui.views import Views
from mesh.web.http import Call
from mesh.web.upstream import Reply

CSS = resources.files("mesh.ui").joinpath("static/style.css").read_text()
TEXT_ON_GROUND = [(text, ground) for text in ("ink", "soft", "accent") for ground in ("ground", "surface")] + [
    ("good", "good-ground"),
    ("bad", "bad-ground"),
    ("warn", "warn-ground"),
]


def palette(scheme: str) -> dict[str, str]:
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", part)) for part in CSS.split("@media", 2)[:2])
    return light if scheme == "light" else {**light, **dark}


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_every_ground(scheme: str) -> None:
    colours = palette(scheme)
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    weak = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in TEXT_ON_GROUND}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}
    assert contrast(colours["control"], colours["surface"]) >= 3, "the border of a control"


def test_a_chart_lies_inside_its_axes_and_its_labels_are_round() -> None:
    points = [
        {"metric_type": "latency", "at": f"2026-01-31T12:{m:02}:00Z", "count": 2, "avg": m * 7.3} for m in range(60)
    ]
    (chart,) = series_charts({"until": "2026-01-31T13:00:00Z", "minutes": 60, "points": points})
    places = [tuple(map(float, place.split(","))) for place in chart.points.split()]
    assert len(places) == 60
    assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in places)
    assert [tick.label for tick in chart.rows] == ["0", "200", "400", "600"]
    assert [tick.label for tick in chart.columns] == ["12:00", "12:15", "12:30", "12:45", "13:00"]
    assert (chart.samples, chart.low, round(chart.high, 1)) == (120, 0, 430.7)


@pytest.mark.parametrize(
    "values", [[0.0], [5.0, 5.0], [-1e308, 1e308], [1e-320, 2e-320], [1e15, 1e15 + 1], [-3.0, 0.001], [1e300] * 2]
)
def test_a_scale_encloses_any_values(values: list[float]) -> None:
    bounds = scale(values)
    assert bounds[0] <= min(values)
    assert bounds[-1] >= max(values)
    assert bounds == sorted(bounds)
    assert 2 <= len(bounds) <= 8
    assert all(len(short(bound)) <= 8 for bound in bounds)
    samples = [{"metric_type": "m", "timestamp": f"2026-01-31T12:00:0{n}Z", "value": v} for n, v in enumerate(values)]
    (chart,) = sample_charts(samples)
    assert "nan" not in chart.points
    assert "inf" not in chart.points


def test_a_single_sample_is_drawn_too_and_none_is_no_chart() -> None:
    (chart,) = sample_charts([{"metric_type": "m", "timestamp": "2026-01-31T12:00:00Z", "value": 3.0}])
    assert len(chart.points.split()) == 2
    assert sample_charts([]) == []


def test_how_long_ago_is_said_in_one_unit() -> None:
    assert ago(None) == "never"
    assert ago("2000-01-01T00:00:00Z").endswith(" d ago")
    assert ago("2100-01-01T00:00:00Z") == "0 s ago"


class _Slow:
    """Stands for the other services: each call takes a tenth of a second and is noted with its beginning."""

    def __init__(self) -> None:
        self.begun: list[float] = []

    async def get_json(self, _service: str, path: str, **_rest: Any) -> Any:
        self.begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.1)
        series = {"until": "2026-01-31T13:00:00Z", "minutes": 60, "points": []}
        return series if path.endswith("series") else {"count": 1, "items": [], "next_cursor": None}

    async def health(self, service: str) -> dict[str, Any]:
        self.begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.1)
        return {"status": "ok", "service": service}

    async def fetch(self, _name: str, _method: str, _url: str, **_rest: Any) -> Reply:
        self.begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.1)
        return Reply(200, {}, b'{"watchdog_received": null, "active": []}')


@pytest.mark.parametrize("place", range(9))
def test_a_page_asks_all_services_at_once(place: int, tmp_path: Path) -> None:
    upstreams = _Slow()
    (tmp_path / "token").write_text(receiver_process.TOKEN)
    alerts = Alerts(upstreams, AlertReceiver("http://receiver", str(tmp_path / "token")))
    path, build, _ = Views(upstreams, "http://gateway", alerts).table()[place]
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
        "path_params": {"id": "x"},
    }

    async def visit() -> None:
        await build(Call(Request(scope), ANONYMOUS, None), Gathered())

    asyncio.run(visit())
    assert upstreams.begun
    assert max(upstreams.begun) - min(upstreams.begun) < 0.09, f"{path} waits for one answer before it asks on"


def test_harness_records_are_shown_behind_a_switch_only(open_mesh: Mesh) -> None:
    name, run = f"harness-{uuid4()}", "ui-switch"
    body = {"name": name, "type": "a", "vendor": "b", "model": "c", "namespace": "aimesh-verify", "run_id": run}
    assert open_mesh.call("POST", "registry", "/api/v1/agents", body).status == 201
    prompt = {"request": {"prompt": "hello"}, "context": {"namespace": "aimesh-verify", "run_id": run, "user_id": name}}
    assert open_mesh.call("POST", "policy", "/api/v1/evaluate", prompt).status == 200
    sample = {"agent_id": name, "metric_type": "m", "value": 1, "namespace": "aimesh-verify", "run_id": run}
    assert open_mesh.call("POST", "telemetry", "/api/v1/metrics", sample).status == 202
    try:
        for path in ("/agents", "/decisions", "/telemetry"):
            default, switched = page(open_mesh, path).text, page(open_mesh, f"{path}?harness=1").text
            assert name not in default, path
            assert "harness=1" in default, path
            assert name in switched, path
            assert f'href="{path}' in switched.split("harness only.")[1], path
    finally:
        for service in ("registry", "policy", "telemetry"):
            open_mesh.call("DELETE", service, f"/api/v1/verify-records?run_id={run}")


def test_agents_are_turned_over_page_by_page(open_mesh: Mesh) -> None:
    kind = f"kind-{uuid4()}"
    for number in range(51):
        body = {"name": f"{kind}-{number}", "type": kind, "vendor": "v", "model": "m"}
        assert open_mesh.call("POST", "registry", "/api/v1/agents", body).status == 201
    first = page(open_mesh, f"/agents?type={kind}").text
    following = re.search(r'href="(/agents\?[^"]+)" rel="next"', first)
    assert following
    assert "51 agents" in first
    second = page(open_mesh, following.group(1).replace("&amp;", "&")).text
    assert len(re.findall(rf">{kind}-\d+<", first)) + len(re.findall(rf">{kind}-\d+<", second)) == 51
    assert 'rel="next"' not in second


def test_a_part_that_is_missing_leaves_the_rest_of_the_page(open_mesh: Mesh) -> None:
    open_mesh.stop("telemetry")
    try:
        answer = page(open_mesh, "/")
        assert answer.status == 502
        assert "telemetry cannot be reached" in answer.text
        assert "Telemetry cannot be shown now" in answer.text
        assert "Newest denials" in answer.text
        assert 'href="/status">See the health' in answer.text
        assert "5 of 6" in answer.text
    finally:
        open_mesh.start("telemetry")

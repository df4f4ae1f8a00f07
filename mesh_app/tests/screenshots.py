"""Takes the pictures of docs/images: `make screenshots`. Not a test of its own, so pytest runs it only when named."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from conftest import MakeMesh
from playwright.sync_api import Page
from support.binaries import REPOSITORY
from support.browser import chromium, log_in
from support.mesh import Mesh
from support.showcase import AGENTS, furnish

IMAGES = REPOSITORY / "docs" / "images"
LARGEST = 150 * 1024


@pytest.fixture
def acme(make_mesh: MakeMesh) -> Mesh:
    """A mesh at work that pulls the agents of its peer `partner`."""
    partner, acme = make_mesh("partner", auth="on"), make_mesh("acme", auth="on")
    peer = {"name": "partner", "url": partner.url("federation")}
    (acme.directory / "peers.json").write_text(json.dumps([peer]))
    (partner.directory / "peers.json").write_text(json.dumps([{"name": "acme", "url": acme.url("federation")}]))
    for mesh in (partner, acme):
        mesh.migrate()
        mesh.start()
    name, kind, vendor, model, description = AGENTS[4]
    for own in ({"name": name}, {"name": "freight-planner"}, {"name": "customs-clerk"}):
        body = {"type": kind, "vendor": vendor, "model": model, "description": description, **own}
        assert partner.call("POST", "registry", "/api/v1/agents", body, token="admin").status == 201
    furnish(acme, hours=23)
    deadline = time.monotonic() + 20
    while acme.call("GET", "federation", "/api/v1/peers", token="admin").json["items"][0]["agents"] < 3:
        assert time.monotonic() < deadline, "the peer's agents did not come"
        time.sleep(0.2)
    return acme


def test_pictures_of_the_pages(acme: Mesh) -> None:
    IMAGES.mkdir(exist_ok=True)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        log_in(page, acme, "admin")
        take(page, "overview")
        page.goto(acme.url("ui", "/agents"))
        take(page, "agents")
        page.get_by_role("link", name=AGENTS[0][0]).click()
        page.wait_for_url("**/agents/*-*")
        take(page, "agent")
        page.goto(acme.url("ui", "/decisions?decision=deny"))
        page.locator("tbody th a").first.click()
        page.wait_for_url("**/decisions/*-*")
        take(page, "decision")
        page.goto(acme.url("ui", "/peers"))
        take(page, "peers")
        page.goto(acme.url("ui", "/status"))
        take(page, "health")
        page.emulate_media(color_scheme="dark")
        page.goto(acme.url("ui", "/telemetry?minutes=1440"))
        take(page, "telemetry")


def take(page: Page, name: str) -> None:
    picture: Path = IMAGES / f"ui-{name}.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size <= LARGEST, f"{picture} has {picture.stat().st_size} bytes"

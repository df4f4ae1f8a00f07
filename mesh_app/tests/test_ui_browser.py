"""The pages in a real browser: by keyboard, in the dark, on a small screen, and with nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page
from support.alerts import ReceiverProcess, alert, watched_ui
from support.browser import Watch, chromium, log_in
from support.mesh import Mesh
from support.npm import install
from support.showcase import AGENTS, furnish

PAGES = {
    "/": "Overview",
    "/agents": "Agents",
    "/decisions": "Policy decisions",
    "/telemetry?minutes=1440": "Telemetry",
    "/peers": "Peers",
    "/status": "Health",
    "/alerts": "Alerts",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def agents(closed_mesh: Mesh) -> list[dict[str, Any]]:
    return furnish(closed_mesh)


@pytest.fixture(scope="module")
def session(browser: Browser, closed_mesh: Mesh, agents: list[dict[str, Any]]) -> Any:
    """The cookies of a reader who has logged in."""
    context = browser.new_context()
    log_in(context.new_page(), closed_mesh, "reader")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def page(browser: Browser, closed_mesh: Mesh, session: Any) -> Iterator[Page]:
    """The overview as a reader sees it; when the test is over, nothing must have gone wrong in the browser."""
    context = browser.new_context(storage_state=session, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    watch = Watch(page, closed_mesh.url("ui"))
    page.goto(closed_mesh.url("ui", "/"))
    yield page
    assert watch.look() == []
    context.close()


def focused(page: Page) -> str:
    text: str = page.evaluate("(document.activeElement.innerText || document.activeElement.name || '').trim()")
    return text


def tab_to(page: Page, text: str) -> None:
    """Presses Tab until the element with this text or name has the focus."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if focused(page) == text:
            return
    raise AssertionError(f"{text!r} cannot be reached with the Tab key at {page.url}")


def test_every_page_is_reached_with_the_keyboard_alone(page: Page) -> None:
    for label, heading in zip(
        ("Overview", "Agents", "Decisions", "Telemetry", "Peers", "Health", "Alerts"), PAGES.values(), strict=True
    ):
        tab_to(page, label)
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px", f"the focus on {label} is not visible"
        page.keyboard.press("Enter")
        page.wait_for_function("heading => document.querySelector('h1').innerText === heading", arg=heading)
        assert page.locator("nav[aria-label=Main] [aria-current=page]").inner_text() == label
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_an_agent_is_searched_and_opened_with_the_keyboard(page: Page) -> None:
    name = AGENTS[0][0]
    tab_to(page, "Agents")
    page.keyboard.press("Enter")
    page.wait_for_url("**/agents")
    tab_to(page, "q")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/agents?q={name}*")
    assert page.locator("tbody tr").count() == 1
    tab_to(page, name)
    page.keyboard.press("Enter")
    page.wait_for_url("**/agents/*-*")
    assert page.locator("h1").inner_text().startswith(name)
    facts = page.locator(".facts").inner_text()
    for text in ("ago", "openai, gpt-4o", "https://agents.example/billing-assistant", "production", "A2A agent card"):
        assert text in facts
    assert page.locator("polyline").count() == 3


def test_a_denial_shows_its_reasons_and_never_the_prompt(page: Page, closed_mesh: Mesh) -> None:
    page.goto(closed_mesh.url("ui", "/decisions?decision=deny"))
    page.locator("tbody th a").first.click()
    page.wait_for_url("**/decisions/*-*")
    assert "injection" in page.locator("table").inner_text()
    assert "ignore previous" not in page.content().lower()
    assert "SHA-256" in page.locator(".facts").inner_text()


def test_charts_are_drawn_with_axes_and_have_a_table(page: Page, closed_mesh: Mesh) -> None:
    page.goto(closed_mesh.url("ui", "/telemetry?minutes=1440"))
    for figure in page.locator("figure:has-text('latency_ms'), figure:has-text('cost_usd')").all():
        box = figure.locator("polyline").bounding_box()
        assert box
        assert box["width"] > 20
        assert box["height"] > 20
        labels = figure.locator("svg text").all_text_contents()
        assert len(labels) >= 8
        assert any(":" in label for label in labels)
        figure.locator("summary").click()
        assert figure.locator("tbody tr").count() >= 5
    assert page.locator("figure").count() >= 3


def test_an_empty_page_and_a_missing_record_say_what_to_do(browser: Browser, open_mesh: Mesh) -> None:
    page = browser.new_page()
    page.goto(open_mesh.url("ui", f"/agents?q={uuid4()}"))
    assert page.locator(".empty").inner_text() == "No agent fits. Show all agents"
    page.goto(open_mesh.url("ui", "/peers"))
    assert "mesh_federation_peers" in page.locator(".empty").inner_text()
    answer = page.goto(open_mesh.url("ui", f"/agents/{uuid4()}"))
    assert answer
    assert answer.status == 404
    assert "search all origins" in page.locator(".empty").inner_text()
    page.close()


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wider_than_a_small_screen(page: Page, closed_mesh: Mesh, path: str) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(closed_mesh.url("ui", path))
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 400, f"{path} is {wide} pixels wide"


def test_colours_follow_the_scheme_of_the_system(page: Page) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert grounds == {"light": "rgb(247, 248, 250)", "dark": "rgb(18, 22, 29)"}


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_landmarks_labels_and_captions(page: Page, closed_mesh: Mesh, path: str) -> None:
    page.goto(closed_mesh.url("ui", path))
    assert page.locator("h1").count() == 1
    for landmark in ("header", "main", "footer", "nav[aria-label=Main]"):
        assert page.locator(landmark).count() == 1, landmark
    unnamed = """() => [
        ...[...document.querySelectorAll('table')].filter(one => !one.caption?.textContent.trim()),
        ...[...document.querySelectorAll('th')].filter(one => !one.scope),
        ...[...document.querySelectorAll('input:not([type=hidden]), select')].filter(one => !one.labels.length),
        ...[...document.querySelectorAll('svg')].filter(one => !one.ariaLabel),
        ...[...document.querySelectorAll('a, button')].filter(one => !one.innerText.trim()),
    ].map(one => one.outerHTML.slice(0, 80))"""
    assert page.evaluate(unnamed) == []
    assert page.evaluate("document.documentElement.lang") == "en"
    ids: list[str] = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_complaint_about_any_page(
    page: Page, closed_mesh: Mesh, agents: list[dict[str, Any]], scheme: Any
) -> None:
    axe = (install(Path(__file__).with_name("axe")) / "node_modules" / "axe-core" / "axe.min.js").read_text()
    page.emulate_media(color_scheme=scheme)
    for path in (*PAGES, f"/agents/{agents[0]['id']}"):
        page.goto(closed_mesh.url("ui", path))
        assert complaints(page, axe) == [], path
    page.evaluate("document.documentElement.lang = ''")
    assert "html-has-lang" in "".join(complaints(page, axe))


@pytest.fixture
def firing(closed_mesh: Mesh, tmp_path: Path) -> Iterator[Mesh]:
    """A mesh whose second UI, `ui-b`, is told of three alerts, one with as long a text as nobody should write."""
    receiver = ReceiverProcess(tmp_path / "receiver")
    receiver.start()
    book = {"runbook_url": "https://docs.example/runbooks/service-down.md"}
    receiver.deliver(
        alert("Watchdog", severity="none"),
        alert("ServiceDown", severity="critical", service="registry", host="vm1") | {"annotations": book},
        alert("PostgresqlReplicationLag", severity="warning", summary="standby " * 80, host="a-host-with-a-long-name"),
        alert("RestoreDrillStale", severity="ticket"),
    )
    with watched_ui(closed_mesh, receiver):
        yield closed_mesh
    receiver.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_firing_alerts_are_shown_to_everybody_on_any_screen(
    browser: Browser, session: Any, firing: Mesh, scheme: Any
) -> None:
    context = browser.new_context(storage_state=session, viewport={"width": 400, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    watch = Watch(page, firing.url("ui-b"))
    page.goto(firing.url("ui-b", "/"))
    assert page.locator(".cards div:has-text('Alerts') dd").inner_text() == "3"
    page.locator(".cards a[href='/alerts']").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts")
    assert page.locator("tbody th").first.inner_text().startswith("ServiceDown")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    axe = (install(Path(__file__).with_name("axe")) / "node_modules" / "axe-core" / "axe.min.js").read_text()
    assert complaints(page, axe) == []
    tab_to(page, "Runbook")
    assert page.locator("tbody a").get_attribute("href") == "https://docs.example/runbooks/service-down.md"
    assert watch.look() == []
    context.close()


def complaints(page: Page, axe: str) -> list[str]:
    """What axe-core finds wrong with the page: rule and first element."""
    page.evaluate(axe)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]


def test_logging_out_ends_what_was_begun_by_logging_in(browser: Browser, closed_mesh: Mesh) -> None:
    page = browser.new_page()
    log_in(page, closed_mesh, "admin", "/agents")
    assert "Logged in as admin, admin" in page.locator(".session").inner_text()
    tab_to(page, "Log out")
    page.keyboard.press("Enter")
    page.wait_for_url("**/login")
    page.goto(closed_mesh.url("ui", "/agents"))
    assert "/login?next=" in page.url
    page.close()


def test_the_listener_notices_a_script_a_style_and_a_request_that_do_not_belong(
    browser: Browser, closed_mesh: Mesh
) -> None:
    page = browser.new_page()
    watch = Watch(page, closed_mesh.url("ui"))
    served = page.request.get(closed_mesh.url("ui", "/login"))
    planted = '<script>document.title = "planted"</script><img src="http://elsewhere.invalid/x.png" alt="">'
    body = served.text().replace("</main>", f"{planted}</main>")
    page.route("**/login", lambda route: route.fulfill(response=served, body=body))
    page.goto(closed_mesh.url("ui", "/login"))
    found = "\n".join(watch.look())
    assert "planted" not in page.title()
    assert "policy: script-src" in found
    assert "policy: img-src http://elsewhere.invalid" in found
    assert "console: " in found
    page.close()

"""The distribution's Chromium, driven by playwright, and a listener for what must not happen in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from .mesh import TOKENS, Mesh

ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
_VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", event => window.violations.push(
        `${event.violatedDirective} ${event.blockedURI}`));
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window; raises RuntimeError where the machine has none."""
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("chromium is not installed; as root: apt-get install chromium (make test-app does it)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Watch:
    """Collects what a sound page never causes: console errors, breaches of the policy, requests to elsewhere."""

    def __init__(self, page: Page, origin: str) -> None:
        self.complaints: list[str] = []
        self._page = page
        self._origin = origin
        page.add_init_script(_VIOLATIONS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"script error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            self.complaints.append(f"request to elsewhere: {request.url}")

    def _response(self, response: Any) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} for {response.url}")

    def look(self) -> list[str]:
        """All complaints so far, with the violations of the page that is open."""
        violations: list[str] = self._page.evaluate("window.violations || []")
        return self.complaints + [f"policy: {text}" for text in violations]


def log_in(page: Page, mesh: Mesh, role: str, path: str = "/") -> None:
    """Through the login page, by keyboard: its field has the focus already."""
    page.goto(mesh.url("ui", path))
    page.wait_for_function("document.activeElement.id === 'token'")
    page.keyboard.type(TOKENS[role])
    page.keyboard.press("Enter")
    page.wait_for_url(mesh.url("ui", path))

"""Rendering: templates, security headers, and data from the services with failures kept apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from typing import Any, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import RedirectResponse, Response

from mesh.core.settings import Settings
from mesh.web.problem import ProblemError

T = TypeVar("T")
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
NAVIGATION = (
    ("/", "Overview"),
    ("/agents", "Agents"),
    ("/decisions", "Decisions"),
    ("/telemetry", "Telemetry"),
    ("/peers", "Peers"),
    ("/status", "Health"),
    ("/alerts", "Alerts"),
)


@dataclass
class Gathered:
    """Data for a page; a part that failed is missing, and its problem is shown in its place."""

    problems: list[ProblemError] = field(default_factory=list)

    async def get(self, part: Awaitable[T]) -> T | None:
        try:
            return await part
        except ProblemError as problem:
            self.problems.append(problem)
            return None

    async def all(self, *parts: Awaitable[Any]) -> list[Any]:
        return list(await asyncio.gather(*(self.get(part) for part in parts)))

    @property
    def status(self) -> int:
        return max((502 if problem.status >= 500 else problem.status for problem in self.problems), default=200)


class Pages:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._environment = Environment(
            loader=PackageLoader("mesh.ui"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["when"] = when
        self._environment.filters["ago"] = ago
        self._environment.filters["number"] = number

    def render(self, template: str, *, path: str, status: int = 200, **values: Any) -> Response:
        html = self._environment.get_template(template).render(
            mesh=self._settings.mesh,
            release=self._settings.release,
            navigation=NAVIGATION,
            path=path,
            status=status,
            **values,
        )
        return Response(html, status, {**SECURITY_HEADERS, "Cache-Control": "no-store"}, "text/html; charset=utf-8")

    def redirect(self, target: str) -> Response:
        return RedirectResponse(target, 303, {**SECURITY_HEADERS, "Cache-Control": "no-store"})


def static(name: str, content: str) -> Response:
    body = resources.files("mesh.ui").joinpath(f"static/{name}").read_bytes()
    headers = {"Content-Type": f"{content}; charset=utf-8", "Cache-Control": "max-age=300"}
    return Response(body, headers={**SECURITY_HEADERS, **headers})


def when(text: str | None) -> str:
    """`2026-01-31T12:00:00.123Z` as `2026-01-31 12:00:00 UTC`."""
    return f"{text[:10]} {text[11:19]} UTC" if text else "never"


def ago(text: str | None) -> str:
    """How long before now, in one unit: `12 s ago`."""
    if not text:
        return "never"
    seconds = max(int((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()), 0)
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"

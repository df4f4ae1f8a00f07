"""What the server stored of a run, asked through its API, and the removal of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from .requests import GATEWAY
from .settings import Settings
from .wire import NoAnswerError, ask_once

TRIES, PAUSE_S = 10, 1.0
PAGE = 200
MOST_PAGES = 5000
KEEPERS = ("registry", "telemetry", "policy")


@dataclass
class Stored:
    """How often each agent (by name) and each sample (by value) is stored; `problem` says why that is not known."""

    agents: Counter[str] = field(default_factory=Counter)
    samples: Counter[str] = field(default_factory=Counter)
    problem: str = ""


async def stored_records(settings: Settings) -> Stored:
    """Everything that carries the run's mark; never raises, what could not be asked is in `problem`."""
    stored = Stored()
    space = {"namespace": settings.namespace, "limit": str(PAGE)}
    agents, samples = space | {"model": settings.run_id}, space | {"run_id": settings.run_id}
    try:
        await _pages(settings, "/api/v1/agents", agents, lambda row: stored.agents.update([str(row["name"])]))
        await _pages(settings, "/api/v1/metrics", samples, lambda row: stored.samples.update([f"{row['value']:.0f}"]))
    except (NoAnswerError, KeyError, TypeError, ValueError) as error:
        stored.problem = f"What the mesh stored cannot be asked: {error}."
    return stored


async def remove_records(settings: Settings) -> str:
    """Deletes the run's records from every service that keeps some; says in a sentence what could not be deleted."""
    left = []
    for service in KEEPERS:
        if service in settings.endpoints:
            path = f"/api/v1/verify-records?run_id={settings.run_id}"
            try:
                await _asked(settings, service, "DELETE", path)
            except NoAnswerError as error:
                left.append(f"{service} ({error})")
    swept = "; a verification sweeps them after an hour"
    return f"Records of the load remain in {', '.join(left)}{swept}." if left else ""


async def _pages(settings: Settings, path: str, query: dict[str, str], take: Callable[[dict[str, Any]], None]) -> None:
    cursor = ""
    for _ in range(MOST_PAGES):
        asked = urlencode(query | ({"cursor": cursor} if cursor else {}))
        page = await _asked(settings, GATEWAY, "GET", f"{path}?{asked}")
        for row in page["items"]:
            take(row)
        cursor = page.get("next_cursor") or ""
        if not cursor:
            return
    raise NoAnswerError(f"{path} did not end after {MOST_PAGES} pages")


async def _asked(settings: Settings, service: str, method: str, path: str) -> dict[str, Any]:
    """The JSON of a good answer. Asks again for a while: the judgement is of what is stored, not of this request."""
    told = ""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_S)
        try:
            answer = await ask_once(settings.targets[service], method, path, settings.headers, settings.timeout_s)
        except NoAnswerError as error:
            told = str(error)
            continue
        if answer.status == 200 and isinstance(answer.json, dict):
            return answer.json
        told = f"{service} answered {method} {path.partition('?')[0]} with status {answer.status}"
    raise NoAnswerError(told)

"""All agents that fit, one JSON line each; pages by key inside, so that neither side holds more than one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from mesh.registry.model import AgentAnswer
from mesh.registry.repository import AgentFilter, AgentRepository
from mesh.web.paging import MAXIMUM_LIMIT, Count

Page = tuple[list[Any], str | None]


async def first_page(repository: AgentRepository, wanted: AgentFilter) -> Page:
    """Asked for before the answer begins, so that an error is still one; raises ProblemError."""
    return await repository.page(wanted, MAXIMUM_LIMIT, None)


async def lines(repository: AgentRepository, wanted: AgentFilter, mesh: str, page: Page) -> AsyncGenerator[bytes, None]:
    """A chunk for each page behind `page`, itself included; the last line is the count."""
    encoder, count = msgspec.json.Encoder(), 0
    while True:
        rows, following = page
        count += len(rows)
        yield encoder.encode_lines([AgentAnswer.from_row(row, mesh) for row in rows])
        if following is None:
            yield encoder.encode_lines([Count(count)])
            return
        page = await repository.page(wanted, MAXIMUM_LIMIT, following)

"""What a process remembers of API keys."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from mesh.access.api_keys import ApiKeys, make_key
from mesh.storage.database import Database
from mesh.web.problem import ProblemError


def test_made_up_keys_do_not_push_out_the_keys_that_there_are() -> None:
    key, asked = make_key(), list[UUID]()
    row = {"subject": "ann", "role": "reader", "digest": key.digest, "expires_at": None, "revoked_at": None}

    class Writer:
        async def fetchrow(self, _query: str, key_id: UUID) -> dict[str, Any] | None:
            asked.append(key_id)
            return row if key_id == key.id else None

        async def execute(self, *_arguments: Any) -> int:
            return 1

    async def use() -> None:
        keys = ApiKeys(cast("Database", SimpleNamespace(write=Writer())))
        assert (await keys.verify(key.text)).subject == "ann"
        for _ in range(2000):
            with suppress(ProblemError):
                await keys.verify(make_key().text)
        assert (await keys.verify(key.text)).subject == "ann"

    asyncio.run(use())
    assert (len(asked), asked.count(key.id)) == (2001, 1)

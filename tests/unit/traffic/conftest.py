"""A fake mesh, and the load against it in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic import background, generator
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.ledger import Ledger
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.settings import Settings
from fake_mesh import NEW, FakeMesh

Drive = Callable[..., dict[str, Any]]
STEP_S = 0.4


@pytest.fixture
def mesh() -> Iterator[FakeMesh]:
    fake = FakeMesh()
    yield fake
    fake.close()


@pytest.fixture
def drive(mesh: FakeMesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drive:
    """Runs the load before, during and after `rollout`, and returns the proof; `options` go to the settings."""
    monkeypatch.setattr(generator, "SETTLE_S", 1.0)

    def run(rollout: Callable[[], None], late: Callable[[], None] = lambda: None, **options: Any) -> dict[str, Any]:
        files = background.LoadFiles(str(tmp_path), "run-1")
        files.make()
        files.say("start")
        wanted = {"run_id": "run-1", "endpoints": mesh.endpoints, "requests_per_second": 80.0} | options
        words, ledger = files.words, Ledger(files.ledger)

        async def play() -> generator.Observed:
            load = asyncio.create_task(generator.Generator(Settings(**wanted), ledger, words.stop, words.last).run())
            await asyncio.sleep(STEP_S)
            files.say("during")
            rollout()
            await asyncio.sleep(STEP_S)
            files.say("after", release=NEW)
            late()
            await asyncio.sleep(STEP_S)
            files.say("stop")
            return await load

        observed = asyncio.run(play())
        ledger.close()
        return background.write_proof(files, observed, 2.0)

    return run

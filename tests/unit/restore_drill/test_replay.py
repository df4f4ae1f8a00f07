"""The scratch cluster of a drill replays as long as it says that it moves."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import (
    BackupSpec,
    Commands,
    ReplaySpec,
    parse_spec,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill.scratch import READY, Scratch

from tests.unit.backup.host import document

SERVER = """
import sys, time
for number in range({segments}):
    print(f'LOG:  restored log file "{{number:024X}}" from archive', file=sys.stderr, flush=True)
    time.sleep({pause})
print('LOG:  {last}', file=sys.stderr, flush=True)
time.sleep(60)
"""


def scratch(folder: Path, **words: object) -> Scratch:
    spec: BackupSpec = parse_spec(document(folder))
    server = (sys.executable, "-c", SERVER.format(**words))
    commands = Commands((), (), (), server, (), ())
    made = Scratch(replace(spec, commands=commands, replay=ReplaySpec(still_s=1.0, limit_s=30.0), scratch=str(folder)))
    Path(made.sockets).mkdir()
    made._program = "postgres"
    return made


def test_a_replay_longer_than_a_standstill_may_be_is_waited_for(tmp_path: Path) -> None:
    made = scratch(tmp_path, segments=6, pause=0.3, last=READY)
    begun = time.monotonic()
    try:
        made.recover()
    finally:
        made._process.kill()
    assert time.monotonic() - begun > 1.5


def test_a_replay_that_stands_still_is_given_up_with_the_last_word(tmp_path: Path) -> None:
    made = scratch(tmp_path, segments=1, pause=0, last="waiting for nothing")
    try:
        with pytest.raises(BackupError, match="has not moved for 1 s, PostgreSQL said last: LOG:  waiting for nothing"):
            made.recover()
    finally:
        made._process.kill()

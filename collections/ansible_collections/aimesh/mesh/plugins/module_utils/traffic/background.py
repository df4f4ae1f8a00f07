"""The generator as a process of its own that outlives the module call: its files, its start, its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_json
from ansible_collections.aimesh.mesh.plugins.module_utils.detached import detach
from ansible_collections.aimesh.mesh.plugins.module_utils.proc import stat_of
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_record import FOLDER, archive_path, proof_path

from .generator import Generator, Observed
from .ledger import Ledger, read_entries
from .proof import Marks, prove
from .settings import Settings, TrafficError
from .words import Words

SUFFIX = ".load"
KEPT_FOLDERS = 3
POLL_S = 0.1
END_S = 90.0
"""In-flight requests, events still on their way, comparison and removal: each bounded by itself, all within this."""


@dataclass(frozen=True)
class LoadFiles:
    """`<state>/rollouts/<id>.load/`: ledger, marks, process. The proof lies beside it as `<id>.traffic.json`."""

    state_dir: str
    traffic_id: str

    @property
    def folder(self) -> Path:
        return Path(self.state_dir, FOLDER, f"{self.traffic_id}{SUFFIX}")

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.jsonl"

    @property
    def control(self) -> Path:
        return self.folder / "marks.jsonl"

    @property
    def process(self) -> Path:
        return self.folder / "process.json"

    @property
    def log(self) -> Path:
        return self.folder / "generator.log"

    @property
    def proof(self) -> Path:
        return Path(proof_path(self.state_dir, self.traffic_id))

    def make(self) -> None:
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(mode=0o700, exist_ok=True)

    def clear(self) -> None:
        """What another load of the same rollout has left."""
        for old in (self.ledger, self.control, self.process, self.proof, self.log):
            old.unlink(missing_ok=True)

    @property
    def words(self) -> Words:
        return Words(self.control)

    def say(self, word: str, **more: Any) -> None:
        """A word of the run to its generator, see `Words`."""
        self.words.say(word, **more)

    def marks(self) -> Marks:
        return self.words.marks()

    def running(self) -> bool:
        record = read_json(str(self.process))
        if not isinstance(record, dict):
            return False
        stat = stat_of(int(record["pid"]))
        return stat is not None and stat.state != "Z" and stat.start_ticks == record["start_ticks"]

    def wait_until_ended(self) -> bool:
        return wait_for(lambda: not self.running(), END_S)


def others(state_dir: str, traffic_id: str) -> list[LoadFiles]:
    """Loads of other runs, the oldest first."""
    folders = sorted(Path(state_dir, FOLDER).glob(f"*{SUFFIX}"), key=lambda folder: folder.stat().st_mtime)
    files = [LoadFiles(state_dir, folder.name.removesuffix(SUFFIX)) for folder in folders]
    return [each for each in files if each.traffic_id != traffic_id]


def clear_away(state_dir: str, traffic_id: str) -> list[str]:
    """Ends what runs of other runs, keeps their last ledgers for whoever looks into them; returns the ids ended."""
    ended = []
    found = others(state_dir, traffic_id)
    for files in found:
        if files.running():
            files.say("stop")
            files.wait_until_ended()
            ended.append(files.traffic_id)
    for files in found[: max(0, len(found) - KEPT_FOLDERS)]:
        shutil.rmtree(files.folder)
        if not Path(archive_path(state_dir, files.traffic_id)).exists():
            # Where the rollout itself is on record, its proof goes with it.
            files.proof.unlink(missing_ok=True)
    return ended


def kill_all(state_dir: str) -> None:
    """Ends every load of this host at once; what it wrote to the mesh stays there."""
    for files in others(state_dir, ""):
        if files.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(read_json(str(files.process))["pid"]), signal.SIGKILL)


def wait_for(reached: Callable[[], bool], limit_s: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + limit_s
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def launch(files: LoadFiles, settings: Settings, p99_factor: float) -> None:
    """Starts the generator as a process that belongs to nobody. Raises TrafficError when it does not come up."""
    files.make()
    files.clear()
    files.say("start")
    detach(lambda: _body(files, settings, p99_factor), files.log)
    if not wait_for(lambda: files.running() or files.proof.exists(), 10.0):
        raise TrafficError(f"The load generator did not start; see {files.log}.")


def _body(files: LoadFiles, settings: Settings, p99_factor: float) -> None:
    pid = os.getpid()
    stat = stat_of(pid)
    write_json(str(files.process), {"pid": pid, "start_ticks": stat.start_ticks if stat else 0})
    words, ledger = files.words, Ledger(files.ledger)
    observed = asyncio.run(Generator(settings, ledger, words.stop, words.last).run())
    ledger.close()
    write_proof(files, observed, p99_factor)


def write_proof(files: LoadFiles, observed: Observed | None, p99_factor: float) -> dict[str, Any]:
    proof = prove(files.traffic_id, list(read_entries(files.ledger)), files.marks(), observed, p99_factor)
    write_json(str(files.proof), proof)
    return proof


def finish(files: LoadFiles, p99_factor: float) -> dict[str, Any]:
    """The proof, once the generator has ended; made from the ledger alone when it died. Raises TrafficError."""
    if not files.folder.is_dir():
        raise TrafficError(f"No load was started for the rollout {files.traffic_id} here; start it first.")
    if files.running():
        files.say("stop")
        if not files.wait_until_ended():
            raise TrafficError(f"The load generator did not end within {END_S:.0f} s; see {files.folder}.")
    proof = read_json(str(files.proof))
    return dict(proof) if isinstance(proof, dict) else write_proof(files, None, p99_factor)

"""`<state>/drills/`: how far the drill has come, and `alerts.json`, the proof of the last one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import read_json, write_json

from .hops import DrillStoppedError, Hop

SCHEMA = 1
FOLDER = "drills"
PROOF = "alerts.json"
STAGES = ("deliver", "watch", "fired", "resolved")

Proof = dict[str, Any]


def proof_path(state_dir: str) -> Path:
    return Path(state_dir, FOLDER, PROOF)


@dataclass(frozen=True)
class Progress:
    """What the stages of one run have found so far, on the monitoring host."""

    state_dir: str
    run_id: str

    @property
    def folder(self) -> Path:
        return Path(self.state_dir, FOLDER)

    @property
    def path(self) -> Path:
        return self.folder / "progress.json"

    def read(self) -> dict[str, Any]:
        found = read_json(str(self.path))
        if isinstance(found, dict) and found.get("run_id") == self.run_id:
            return found
        return {"run_id": self.run_id, "stages": [], "hops": [], "receivers": {}, "failed_hop": None, "message": ""}

    def passed(self, stage: str, hops: list[Hop], **more: Any) -> None:
        found = self.read()
        found["stages"].append(stage)
        found["hops"] += [hop.as_json() for hop in hops]
        self._write(found | more)

    def stopped(self, error: DrillStoppedError) -> None:
        """The first hop that failed is the one that counts."""
        found = self.read()
        if not found["failed_hop"]:
            self._write(found | {"failed_hop": error.hop, "message": str(error)})

    def complete(self) -> bool:
        """Whether every stage has passed."""
        found = self.read()
        return not found["failed_hop"] and all(stage in found["stages"] for stage in STAGES)

    def prove(self, profile: str, fault: str, message: str) -> Proof:
        """The proof; `message` is what ended the run when that was no hop of ours."""
        found = self.read()
        left = [stage for stage in STAGES if stage not in found["stages"]]
        message = found["message"] or message
        if left and not message:
            message = f"The alert drill ended before its stage {left[0]}."
        return {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "finished": round(time.time(), 3),
            "verdict": "fail" if message else "pass",
            "profile": profile,
            "fault": fault,
            "hops": found["hops"],
            "failed_hop": found["failed_hop"],
            "message": message,
            "receivers": found["receivers"],
        }

    def close(self) -> None:
        self.path.unlink(missing_ok=True)

    def _write(self, found: dict[str, Any]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(str(self.path), found)


def keep(state_dir: str, proof: Proof) -> bool:
    """Put the proof into a state home; whether that changed anything."""
    path = proof_path(state_dir)
    if read_json(str(path)) == proof:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(str(path), proof)
    return True

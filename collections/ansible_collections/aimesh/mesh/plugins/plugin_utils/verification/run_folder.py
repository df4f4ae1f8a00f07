"""The folder of one verification run below `build/<mesh_name>/verify/`: context, questions, answers, results."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTROLLER = "@controller"
KEEP_S = 3600
"""Folders of runs that ended longer ago are cleared away by the next run."""


@dataclass(frozen=True)
class RunFolder:
    """Everything in it is readable by its owner only; it holds no secrets, yet says much about the hosts."""

    path: Path

    @classmethod
    def create(cls, parent: Path, run_id: str, context: dict[str, Any]) -> RunFolder:
        """A new folder for a run; those of runs long over go."""
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in parent.iterdir():
            if old.is_dir() and time.time() - old.stat().st_mtime > KEEP_S:
                shutil.rmtree(old, ignore_errors=True)
        folder = cls(parent / run_id)
        for path in (folder.path, folder.path / "questions", folder.path / "answers"):
            path.mkdir(mode=0o700)
        folder.write("context.json", context)
        return folder

    @property
    def context(self) -> dict[str, Any]:
        document: dict[str, Any] = self.read("context.json")
        return document

    @property
    def results(self) -> dict[str, Any]:
        document: dict[str, Any] = self.read("results.json")
        return document

    def read(self, name: str) -> Any:
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    def write(self, name: str, document: Any) -> None:
        """Whole or not at all: a reader never sees half a file."""
        path = self.path / name
        partial = path.with_name(f".{path.name}.partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, sort_keys=True)
        partial.replace(path)

    def questions(self, host: str) -> dict[str, dict[str, Any]]:
        """What is open for a host, by key; nothing when it has been given up or is not asked."""
        path = self.path / "questions" / f"{host}.json"
        if not path.exists() or self._answers(host).get("unreachable"):
            return {}
        asked: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["questions"]
        return asked

    def asked_hosts(self) -> list[str]:
        """Hosts that have open questions."""
        return sorted(path.stem for path in (self.path / "questions").glob("*.json"))

    def add_answers(self, host: str, answers: dict[str, Any]) -> None:
        known = self._answers(host)
        self.write(f"answers/{host}.json", known | {"answers": {**known["answers"], **answers}})

    def give_up(self, host: str, reason: str) -> None:
        """The host cannot be asked; every check on it says so, and no later round tries again."""
        self.write(f"answers/{host}.json", self._answers(host) | {"unreachable": reason})

    def _answers(self, host: str) -> dict[str, Any]:
        path = self.path / "answers" / f"{host}.json"
        if not path.exists():
            return {"host": host, "answers": {}, "unreachable": ""}
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return document

"""What the checks asked so far, and what the hosts answered."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vocabulary.outcome import NotCheckedError, UnansweredError

CONTROLLER = "@controller"
"""Stands for the machine that Ansible runs on, where the vantage is `edge`."""

Question = dict[str, Any]


def key_of(question: Question) -> str:
    """The same question has the same key, whoever asks."""
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class Answers:
    """Answers by host and key of the question; `unreachable` by host says why it gave none."""

    given: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    open: dict[str, dict[str, Question]] = field(default_factory=dict)
    slowest: float = 0.0
    """Seconds of the slowest answer read since the last `restart_clock`."""

    def ask(self, host: str, question: Question) -> dict[str, Any]:
        """`{"value": …}` or `{"error": …}`.

        Raises UnansweredError until a round has brought it, NotCheckedError when none can.
        """
        self.require_reachable(host)
        key = key_of(question)
        answer = self.given.get(host, {}).get(key)
        if answer is None:
            self.open.setdefault(host, {})[key] = question
            raise UnansweredError(f"{host}: {question['kind']}")
        if answer.get("asked") is False:
            raise NotCheckedError(f"not checked: {answer['error']}")
        self.slowest = max(self.slowest, float(answer.get("seconds", 0.0)))
        return answer

    def require_reachable(self, host: str) -> None:
        """Raises NotCheckedError for a host that was given up."""
        if host in self.unreachable:
            raise NotCheckedError(f"not checked: host unreachable ({self.unreachable[host]})", "an answer of the host")

    def restart_clock(self) -> None:
        self.slowest = 0.0

    @classmethod
    def read(cls, folder: Path) -> Answers:
        """The answers that the rounds so far have put into `<folder>/answers/`."""
        answers = cls()
        for path in sorted((folder / "answers").glob("*.json")):
            document = json.loads(path.read_text(encoding="utf-8"))
            if document.get("unreachable"):
                answers.unreachable[document["host"]] = document["unreachable"]
            answers.given[document["host"]] = document["answers"]
        return answers

    def write_open(self, folder: Path) -> None:
        """`<folder>/questions/<host>.json` for each host that is asked something new; files of earlier rounds go."""
        questions = folder / "questions"
        for path in questions.glob("*.json"):
            path.unlink()
        for host, asked in self.open.items():
            document = {"host": host, "questions": asked}
            (questions / f"{host}.json").write_text(json.dumps(document, sort_keys=True), encoding="utf-8")

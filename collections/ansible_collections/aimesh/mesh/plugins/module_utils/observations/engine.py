"""Answers all questions of a host at once: each in a thread of its own, each with a deadline.

A question is a JSON object with `kind` (a key of PROBES) and what that probe needs; `timeout` (seconds) is optional.
An answer is `{"value": …, "seconds": float}` or `{"error": "one sentence", "seconds": float}`;
`"asked": False` beside an error says that the question was never put.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .backup_probe import answer_backup, answer_escrow
from .base import Environment, ProbeError, Question, SecretMissingError
from .command import answer_command
from .containers_probe import answer_containers
from .drills import answer_drills
from .exposure import answer_exposure
from .files import answer_files
from .http_probe import answer_http, answer_scenario
from .monitoring_probe import answer_monitoring
from .postgresql_probe import answer_postgresql
from .processes import answer_listeners, answer_processes
from .records import answer_records
from .redis_probe import answer_redis
from .rollouts import answer_rollouts
from .supervisor_probe import answer_supervisor
from .tls_probe import answer_tls
from .units_probe import answer_units

PROBES: Mapping[str, Callable[[Question, Environment], Any]] = {
    "backup": answer_backup,
    "command": answer_command,
    "containers": answer_containers,
    "drills": answer_drills,
    "escrow": answer_escrow,
    "exposure": answer_exposure,
    "files": answer_files,
    "http": answer_http,
    "listeners": answer_listeners,
    "monitoring": answer_monitoring,
    "postgresql": answer_postgresql,
    "processes": answer_processes,
    "records": answer_records,
    "redis": answer_redis,
    "rollouts": answer_rollouts,
    "scenario": answer_scenario,
    "supervisor": answer_supervisor,
    "tls": answer_tls,
    "units": answer_units,
}

GRACE_S = 0.5
"""What a probe may take beyond its timeout to say itself that it timed out."""


def answer_all(
    questions: Mapping[str, Question],
    secrets: Mapping[str, str],
    timeout: float,
    probes: Mapping[str, Callable[[Question, Environment], Any]] = PROBES,
) -> dict[str, dict[str, Any]]:
    """Key → answer for every question; never raises for a probe, never takes longer than the slowest deadline.

    `probes` by kind are those of a host unless others are given.

    A frozen service costs its timeout once however many questions go to it, since all questions run side by side. A
    probe that does not come back is left behind in a daemon thread.
    """
    slots = {key: _Slot(question, Environment(secrets, timeout), probes) for key, question in questions.items()}
    for slot in slots.values():
        threading.Thread(target=slot.run, daemon=True).start()
    return {key: slot.collect() for key, slot in slots.items()}


class _Slot:
    """One question on its way to its answer."""

    def __init__(
        self,
        question: Question,
        environment: Environment,
        probes: Mapping[str, Callable[[Question, Environment], Any]],
    ) -> None:
        self._question = question
        self._probes = probes
        self._environment = environment.limited(question.get("timeout"))
        self._started = time.monotonic()
        self._done = threading.Event()
        self._answer: dict[str, Any] = {}

    def run(self) -> None:
        answer: dict[str, Any]
        try:
            probe = self._probes.get(str(self._question.get("kind")))
            if probe is None:
                raise ProbeError(f"this release has no probe of kind {self._question.get('kind')!r}")
            answer = {"value": probe(self._question, self._environment)}
        except SecretMissingError as error:
            answer = {"error": str(error), "asked": False}
        except ProbeError as error:
            answer = {"error": str(error)}
        except (OSError, ValueError, LookupError, TypeError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answer["seconds"] = round(time.monotonic() - self._started, 3)
        self._answer = answer
        self._done.set()

    def collect(self) -> dict[str, Any]:
        deadline = self._started + self._environment.timeout + GRACE_S
        if self._done.wait(max(0.0, deadline - time.monotonic())):
            return self._answer
        return {
            "error": f"no answer within {self._environment.timeout:g} s",
            "seconds": round(time.monotonic() - self._started, 3),
        }

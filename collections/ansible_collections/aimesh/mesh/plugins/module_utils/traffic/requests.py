"""The kinds of requests: what is sent, and what counts as a good answer."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from .ledger import AGENT, EVALUATE, EXPORT, HEALTH, READ, SAMPLE, Entry
from .settings import Settings
from .wire import Answer, NoAnswerError, Pool, ask_once

PART_SIZE = 100
"""Agents of one tag: an export asks for one tag, so that it does not grow with the length of the run."""
REPEAT_AFTER_S = 0.3
NOT_OFFERED = (404, 405)
GATEWAY = "api-gateway"


@dataclass(frozen=True)
class Outcome:
    """How one request ended; `what` is empty for a good answer."""

    service: str
    url: str
    status: int = 0
    what: str = ""
    version: str = ""
    instance: str = ""
    id: str = ""
    unavailable: bool = False


class Requests:
    """Sends request number `n` of a kind. `record` gets an entry for each; what was acknowledged is remembered."""

    def __init__(self, settings: Settings, record: Callable[[Entry], None], clock: Callable[[], float]) -> None:
        self._settings = settings
        self._record = record
        self._clock = clock
        self._targets = settings.targets
        self._pools = {service: Pool(target) for service, target in self._targets.items()}
        self._parts: dict[str, set[str]] = defaultdict(set)
        self._count = dict.fromkeys((HEALTH, READ, AGENT, EVALUATE, SAMPLE, EXPORT), 0)
        self._last_id = ""
        self._repeats: set[asyncio.Task[None]] = set()

    async def send(self, kind: str, due: float) -> None:
        """One request that was due at wall-clock second `due`; never raises for what the mesh does."""
        number = self._count[kind]
        self._count[kind] += 1
        send = {
            HEALTH: self._health, READ: self._read, AGENT: self._agent,
            EVALUATE: self._evaluate, SAMPLE: self._sample, EXPORT: self._export,
        }[kind]  # fmt: skip
        self._enter(kind, due, await send(number))

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _enter(self, kind: str, due: float, outcome: Outcome, *, again: bool = False) -> None:
        ms = round((self._clock() - due) * 1000, 2)
        self._record(Entry(t=round(due, 4), kind=kind, ms=ms, again=again, **vars(outcome)))

    async def _ask(
        self, outcome: Outcome, method: str, body: Any = None, key: str = "", *, kept_alive: bool = True
    ) -> tuple[Answer | None, Outcome]:
        """The answer, if a whole one came, and the outcome with its status or with the reason why there is none."""
        headers = self._settings.headers | ({"Idempotency-Key": key} if key else {})
        content = None if body is None else json.dumps(body).encode()
        timeout = self._settings.timeout_s
        try:
            if kept_alive:
                answer = await self._pools[outcome.service].ask(method, outcome.url, headers, timeout, content)
            else:
                target = self._targets[outcome.service]
                answer = await ask_once(target, method, outcome.url, headers, timeout, content)
        except NoAnswerError as error:
            return None, replace(outcome, what=str(error))
        return answer, replace(outcome, status=answer.status)

    async def _health(self, number: int) -> Outcome:
        services = sorted(self._targets)
        outcome = Outcome(services[number % len(services)], "/health")
        answer, outcome = await self._ask(outcome, "GET", kept_alive=False)
        if answer is None:
            return outcome
        told = answer.json if isinstance(answer.json, dict) else {}
        version, instance = (str(told.get(name) or "") for name in ("version", "instance"))
        what = _unless(answer, 200) or ("" if version else "the answer names no version")
        return replace(outcome, what=what, version=version, instance=instance)

    async def _read(self, number: int) -> Outcome:
        space = {"namespace": self._settings.namespace}
        paths = [
            (GATEWAY, f"/api/v1/agents?{urlencode(space | {'limit': 5})}"),
            ("registry", f"/api/v1/agents/count?{urlencode(space)}"),
            ("telemetry", f"/api/v1/metrics/aggregate?{urlencode(space | {'run_id': self._settings.run_id})}"),
            ("policy", "/api/v1/decisions?limit=5"),
            ("federation", "/api/v1/peers"),
        ]
        # An agent that was acknowledged can be read, whichever slot answers.
        paths += [(GATEWAY, f"/api/v1/agents/{self._last_id}?{urlencode(space)}")] if self._last_id else []
        offered = [path for path in paths if path[0] in self._targets]
        answer, outcome = await self._ask(Outcome(*offered[number % len(offered)]), "GET")
        return outcome if answer is None else replace(outcome, what=_unless(answer, 200))

    async def _agent(self, number: int) -> Outcome:
        name, part = f"{self._settings.run_id}-{number:06d}", f"part-{number // PART_SIZE}"
        body = self._marked({"name": name, "type": "chatbot", "vendor": "aimesh", "tags": [part]})
        body["model"] = self._settings.run_id
        outcome = Outcome(GATEWAY, "/api/v1/agents", id=name)
        answer, ended = await self._ask(outcome, "POST", body, key=name)
        if answer is None:
            repeat = asyncio.create_task(self._agent_again(body, outcome))
            # The loop itself does not keep a task alive.
            self._repeats.add(repeat)
            repeat.add_done_callback(self._repeats.discard)
        elif not (what := _unless(answer, 201)):
            self._acknowledged(part, name, answer)
        else:
            ended = replace(ended, what=what)
        return ended

    async def _agent_again(self, body: dict[str, Any], outcome: Outcome) -> None:
        """What a client does when an answer never came: the same request with the same key, once."""
        await asyncio.sleep(REPEAT_AFTER_S)
        due = self._clock()
        answer, ended = await self._ask(outcome, "POST", body, key=outcome.id, kept_alive=False)
        if answer is not None:
            ended = replace(ended, what=_unless(answer, 200, 201))
            if not ended.what:
                self._acknowledged(body["tags"][0], outcome.id, answer)
        self._enter(AGENT, due, ended, again=True)

    def _acknowledged(self, part: str, name: str, answer: Answer) -> None:
        self._parts[part].add(name)
        if isinstance(answer.json, dict) and answer.json.get("id"):
            self._last_id = str(answer.json["id"])

    async def _evaluate(self, number: int) -> Outcome:
        context = self._marked({"user_id": self._settings.namespace})
        body = {"request": {"prompt": "Hello"}, "context": context}
        answer, outcome = await self._ask(Outcome(self._one_of("policy", number), "/api/v1/evaluate"), "POST", body)
        if answer is None:
            return outcome
        decided = isinstance(answer.json, dict) and bool(answer.json.get("decision_id"))
        return replace(outcome, what=_unless(answer, 200) or ("" if decided else "the answer has no decision"))

    async def _sample(self, number: int) -> Outcome:
        run_id = self._settings.run_id
        body = self._marked({"agent_id": run_id, "metric_type": "traffic", "value": number})
        outcome = Outcome(self._one_of("telemetry", number), "/api/v1/metrics", id=str(number))
        answer, outcome = await self._ask(outcome, "POST", body)
        if answer is None:
            return outcome
        accepted = answer.json.get("accepted") if isinstance(answer.json, dict) else None
        what = _unless(answer, 202) or ("" if accepted == 1 else f"accepted {accepted!r} samples of 1")
        return replace(outcome, what=what)

    async def _export(self, number: int) -> Outcome:
        part = f"part-{max(0, self._count[AGENT] - 1) // PART_SIZE}"
        expected = set(self._parts[part])
        query = urlencode({"namespace": self._settings.namespace, "model": self._settings.run_id, "tag": part})
        outcome = Outcome(GATEWAY, f"/api/v1/agents/export?{query}")
        answer, outcome = await self._ask(outcome, "GET", kept_alive=number % 2 == 0)
        if answer is None:
            return outcome
        if answer.status in NOT_OFFERED:
            return replace(outcome, unavailable=True)
        return replace(outcome, what=_unless(answer, 200) or wrong_export(answer.body, expected))

    def _one_of(self, service: str, number: int) -> str:
        """The service itself and the way through the gateway, in turns."""
        return service if number % 2 and service in self._targets else GATEWAY

    def _marked(self, body: dict[str, Any]) -> dict[str, Any]:
        return body | {"namespace": self._settings.namespace, "run_id": self._settings.run_id}


def wrong_export(body: bytes, expected: set[str]) -> str:
    """What is wrong with a streamed list: not whole, not counted rightly, or an acknowledged agent missing or twice."""
    try:
        rows = [json.loads(line) for line in body.splitlines() if line.strip()]
    except ValueError:
        return "a line of the export is not JSON"
    if not rows or not isinstance(rows[-1], dict) or set(rows[-1]) != {"count"}:
        return f"the export ended after {len(rows)} lines without its count"
    if rows[-1]["count"] != len(rows) - 1:
        return f"the export counts {rows[-1]['count']} agents and holds {len(rows) - 1}"
    names = [str(row.get("name")) for row in rows[:-1] if isinstance(row, dict)]
    if missing := sorted(expected - set(names)):
        return f"the export lacks {len(missing)} acknowledged agents, the first is {missing[0]}"
    return "" if len(set(names)) == len(names) else "the export has an agent twice"


def _unless(answer: Answer, *good: int) -> str:
    if answer.status in good:
        return ""
    told = _complaint(answer.json) if isinstance(answer.json, dict) else ""
    return f"status {answer.status}" + (f": {told[:160]}" if told else "")


def _complaint(document: dict[str, Any]) -> str:
    """What an answer says is wrong: the detail of a problem, or the checks of a health document that failed."""
    checks = document.get("checks")
    each = checks.values() if isinstance(checks, dict) else []
    failing = [str(check.get("error")) for check in each if isinstance(check, dict) and not check.get("ok")]
    return str(document.get("detail") or "; ".join(failing))

"""Wait until started units are ready, all at the same time, and say what was seen of those that are not."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ATTEMPT_TIMEOUT_S = 3.0
PAUSE_S = 0.2
SETTLE_S = 1.0
BODY_LIMIT = 65536
NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Gate:
    """When `name` is ready: 200 at `url` with JSON `version`, an open `tcp` port, or, with neither, staying up."""

    name: str
    url: str | None = None
    version: str | None = None
    tcp: tuple[str, int] | None = None
    timeout_s: float = 60.0

    @property
    def text(self) -> str:
        """The gate in words, for a message."""
        if self.url is not None:
            return f"{self.url} answers 200" + (f" with version {self.version}" if self.version else "")
        if self.tcp is not None:
            return f"{self.tcp[0]}:{self.tcp[1]} accepts connections"
        return f"stays up for {SETTLE_S:g} s"


@dataclass(frozen=True)
class Outcome:
    """How the wait for one gate ended. `seen` is the last observation in words, `seconds` the time it took."""

    gate: Gate
    ready: bool
    seen: str
    seconds: float


def gate_of(name: str, ready: dict[str, Any] | None) -> Gate:
    """The gate of a unit from its `ready` option (`url`, `version`, `tcp` as [host, port], `timeout_s` in seconds)."""
    if not ready:
        return Gate(name)
    tcp = ready.get("tcp")
    return Gate(
        name,
        url=ready.get("url") or None,
        version=ready.get("version") or None,
        tcp=(str(tcp[0]), int(tcp[1])) if tcp else None,
        timeout_s=float(ready.get("timeout_s") or 60.0),
    )


def wait_until_ready(gates: Sequence[Gate], trouble: Callable[[str], str | None]) -> list[Outcome]:
    """Wait for all gates at once; outcomes come in the order of `gates`.

    `trouble(name)` is asked between attempts, from several threads: it answers in words when the unit will not become
    ready by waiting (failed, crash loop), which ends its wait at once, or None while there is hope.
    """
    if not gates:
        return []
    with ThreadPoolExecutor(max_workers=min(32, len(gates))) as pool:
        return list(pool.map(lambda gate: _wait(gate, trouble), gates))


def failure_message(outcomes: Sequence[Outcome], last_lines: Callable[[str], Sequence[str]]) -> str:
    """One message about every unit that did not become ready: gate, what was seen, and its last log lines."""
    parts = []
    for outcome in outcomes:
        if outcome.ready:
            continue
        gate = outcome.gate
        head = f"{gate.name} is not ready after {outcome.seconds:.0f} s: wanted {gate.text}, seen: {outcome.seen}."
        parts.append(head + log_excerpt(gate.name, last_lines))
    return "\n".join(parts)


def log_excerpt(name: str, last_lines: Callable[[str], Sequence[str]]) -> str:
    """The last log lines of a unit, indented under one heading."""
    lines = list(last_lines(name))
    if not lines:
        return " It has logged nothing."
    return "\nLast log lines of " + name + ":\n" + "\n".join(f"  {line}" for line in lines)


def probe(gate: Gate, timeout_s: float = ATTEMPT_TIMEOUT_S) -> tuple[bool, str]:
    """Look once: (ready, what was seen in words). Never raises for what the network or the peer does."""
    if gate.url is not None:
        return _probe_http(gate.url, gate.version, timeout_s)
    if gate.tcp is not None:
        return _probe_tcp(gate.tcp, timeout_s)
    return True, "up"


def _wait(gate: Gate, trouble: Callable[[str], str | None]) -> Outcome:
    begin = time.monotonic()
    if gate.url is None and gate.tcp is None:
        return _wait_settled(gate, trouble, begin)
    said = ""
    while True:
        left = gate.timeout_s - (time.monotonic() - begin)
        ready, seen = probe(gate, max(0.1, min(ATTEMPT_TIMEOUT_S, left)))
        # The last attempt gets what time is left: when that is too little, the answer before it says more.
        seen = said = said if said and left < ATTEMPT_TIMEOUT_S and seen.startswith(NO_ANSWER) else seen
        # A foreign process can hold the port while the unit itself is dead, so the supervisor is asked either way.
        broken = trouble(gate.name)
        elapsed = time.monotonic() - begin
        if broken is not None:
            return Outcome(gate, False, broken if seen == broken else f"{broken}; {seen}", elapsed)
        if ready:
            return Outcome(gate, True, seen, elapsed)
        if elapsed >= gate.timeout_s:
            return Outcome(gate, False, seen, elapsed)
        time.sleep(PAUSE_S)


def _wait_settled(gate: Gate, trouble: Callable[[str], str | None], begin: float) -> Outcome:
    while True:
        broken = trouble(gate.name)
        elapsed = time.monotonic() - begin
        if broken is not None:
            return Outcome(gate, False, broken, elapsed)
        if elapsed >= SETTLE_S:
            return Outcome(gate, True, "up", elapsed)
        time.sleep(PAUSE_S)


def _probe_tcp(address: tuple[str, int], timeout_s: float) -> tuple[bool, str]:
    try:
        with socket.create_connection(address, timeout=timeout_s):
            return True, "accepts connections"
    except TimeoutError:
        return False, f"{NO_ANSWER} within {timeout_s:.1f} s"
    except OSError as error:
        return False, (error.strerror or str(error)).lower()


def answered_version(url: str, timeout_s: float = ATTEMPT_TIMEOUT_S) -> str | None:
    """The JSON `version` in the answer at `url`, whatever its status; None when there is no such answer."""
    answer = _get(url, timeout_s)
    found = None if isinstance(answer, str) else _document(answer[1]).get("version")
    return str(found) if found else None


def _probe_http(url: str, version: str | None, timeout_s: float) -> tuple[bool, str]:
    answer = _get(url, timeout_s)
    return (False, answer) if isinstance(answer, str) else judge_answer(*answer, version)


def _get(url: str, timeout_s: float) -> tuple[int, bytes] | str:
    """(status, body), or in words why there is no answer."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=timeout_s)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET", target, headers={"Connection": "close", "Accept": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(BODY_LIMIT)
    except TimeoutError:
        return f"{NO_ANSWER} within {timeout_s:.1f} s"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    except http.client.HTTPException as error:
        return f"not an HTTP answer ({type(error).__name__})"
    finally:
        connection.close()


def judge_answer(status: int, body: bytes, version: str | None) -> tuple[bool, str]:
    """Whether an HTTP answer opens a gate, and the answer in words: status, failing checks, schema, version."""
    document = _document(body)
    if status != 200:
        return False, f"status {status}" + _complaints(document)
    if version is None:
        return True, "status 200"
    found = document.get("version")
    if found == version:
        return True, f"status 200 with version {version}"
    return False, f"status 200 with version {found}" if found else "status 200 without a version"


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _complaints(document: dict[str, Any]) -> str:
    """What a health document says is wrong, for a message."""
    found = []
    checks = document.get("checks")
    for name, check in sorted(checks.items()) if isinstance(checks, dict) else []:
        if isinstance(check, dict) and not check.get("ok", True):
            found.append(f"{name}: {check.get('error') or 'not ok'}")
    schema = document.get("schema")
    if isinstance(schema, dict) and schema.get("have") != schema.get("want"):
        found.append(f"schema: has {schema.get('have')}, wants {schema.get('want')}")
    if not found and document.get("detail"):
        found.append(str(document["detail"]))
    return f" ({'; '.join(found)})" if found else ""

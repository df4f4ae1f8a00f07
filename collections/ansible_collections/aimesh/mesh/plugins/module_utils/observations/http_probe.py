"""HTTP requests, single ones and short stories of several whose later steps use what earlier ones answered."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .base import Environment, ProbeError, Question, SecretMissingError

BODY_LIMIT = 8 * 1024 * 1024
"""What Prometheus tells of a large mesh is megabytes."""
KEPT_BODY = 2000
PAUSE_S = 0.15
_REFERENCE = re.compile(r"\$\{([\w-]+)((?:\.[\w-]+)*)\}")


def answer_http(question: Question, environment: Environment) -> dict[str, Any]:
    """One request: `url`, `method`, `json`, `headers`, `token` (name of a secret) → `{"status", "json", "body"}`.

    `json` is None when the body is not JSON; `body` is its first 2000 characters.
    """
    return request(question, environment, environment.timeout)


def answer_scenario(question: Question, environment: Environment) -> dict[str, Any]:
    """`steps` in order → `{"steps": {name: {"status", "json", "body", "value"?, "error"?}}}`.

    A step is a request with a `name`. Strings in its `url` and `json` may hold `${name.json.id}`, a field of an earlier
    step's answer; a step whose reference is missing says so in `error` and is not sent. `metric` makes `value` the sum
    of that metric's samples in a Prometheus text; `field` (dotted path) makes it a field of the JSON body.
    `until_above` names an earlier step with a `value`: the request is repeated until this step's value is greater, for
    as long as one probe may take, since what a service caches for a second is no failure. The first step that cannot
    connect ends the story, so that a frozen service costs its timeout once.
    """
    seen: dict[str, dict[str, Any]] = {}
    attempt = float(question.get("step_timeout", environment.timeout))
    for step in question["steps"]:
        name = str(step["name"])
        try:
            seen[name] = _step(_resolved(step, seen), seen, environment, attempt)
        except _MissingError as error:
            seen[name] = {"error": f"not sent: {error}"}
        except SecretMissingError:
            raise
        except ProbeError as error:
            seen[name] = {"error": str(error)}
            break
    return {"steps": seen}


class _MissingError(Exception):
    pass


def _step(
    step: dict[str, Any], seen: dict[str, dict[str, Any]], environment: Environment, attempt: float
) -> dict[str, Any]:
    deadline = time.monotonic() + attempt
    while True:
        answer = request(step, environment, attempt)
        floor = seen.get(str(step.get("until_above")), {}).get("value")
        value = answer.get("value")
        if floor is None or (value is not None and value > floor) or time.monotonic() > deadline:
            return answer
        time.sleep(PAUSE_S)


def _resolved(step: Any, seen: dict[str, dict[str, Any]]) -> Any:
    if isinstance(step, dict):
        return {key: _resolved(value, seen) for key, value in step.items()}
    if isinstance(step, list):
        return [_resolved(value, seen) for value in step]
    if isinstance(step, str):
        return _REFERENCE.sub(lambda match: _lookup(match.group(1), match.group(2), seen), step)
    return step


def _lookup(name: str, path: str, seen: dict[str, dict[str, Any]]) -> str:
    value = field(seen.get(name), path.lstrip("."))
    if value is None:
        raise _MissingError(f"the step {name} gave no {path.lstrip('.')}")
    return str(value)


def field(document: Any, path: str) -> Any:
    """The value at a dotted path, None when there is none; a number in the path picks from a list."""
    for part in path.split(".") if path else []:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def metric_sum(text: str, name: str) -> float | None:
    """Sum of all samples of a metric in the Prometheus text format; None when it has none."""
    found = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})?[ \t]+(\S+)", text, re.MULTILINE)
    return sum(float(value) for value in found) if found else None


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    """To the host of a URL; with https its certificate has to be one that this machine trusts."""
    host = parts.hostname or ""
    if parts.scheme == "https":
        trusted = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port or 443, timeout=timeout, context=trusted)
    return http.client.HTTPConnection(host, parts.port or 80, timeout=timeout)


def request(question: Question, environment: Environment, timeout: float) -> dict[str, Any]:
    """What `answer_http` says, within `timeout` seconds. Raises ProbeError."""
    parts = urlsplit(str(question["url"]))
    headers = {"Accept": "application/json, text/plain, */*", "User-Agent": "aimesh-verify", "Connection": "close"}
    headers.update({str(key): str(value) for key, value in question.get("headers", {}).items()})
    if question.get("token"):
        headers["Authorization"] = f"Bearer {environment.secret(str(question['token']))}"
    body = None
    if question.get("json") is not None:
        body = json.dumps(question["json"])
        headers["Content-Type"] = "application/json"
    connection = _connection(parts, timeout)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(str(question.get("method", "GET")), path, body=body, headers=headers)
        response = connection.getresponse()
        raw = response.read(BODY_LIMIT)
    except TimeoutError:
        raise ProbeError(f"{parts.netloc} accepted no request or gave no answer within {timeout:g} s") from None
    except ConnectionRefusedError:
        raise ProbeError(f"connection refused: nothing listens at {parts.netloc}") from None
    except (OSError, http.client.HTTPException) as error:
        raise ProbeError(f"{parts.netloc} gave no answer: {error or type(error).__name__}") from None
    finally:
        connection.close()
    text = raw.decode("utf-8", "replace")
    answer: dict[str, Any] = {"status": response.status, "json": _parsed(text), "body": text[:KEPT_BODY]}
    if question.get("metric"):
        answer["value"] = metric_sum(text, str(question["metric"]))
        answer["body"] = ""
    elif question.get("field"):
        answer["value"] = field(answer["json"], str(question["field"]))
    return answer


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None

"""Speaks to the running Redis in its own protocol, so that no client has to be installed."""

from __future__ import annotations

import socket
from typing import Any

from .base import Environment, ProbeError, Question


def answer_redis(question: Question, environment: Environment) -> dict[str, Any]:
    """`commands` {name: [words]} at `host`, `port` → {name: {"reply"} or {"error"}}.

    `user` and `password` (name of a secret) log in first; without them the connection stays anonymous.
    """
    address = (str(question["host"]), int(question["port"]))
    try:
        with socket.create_connection(address, timeout=environment.timeout) as connection:
            connection.settimeout(environment.timeout)
            stream = connection.makefile("rwb")
            if question.get("password"):
                words = ["AUTH", str(question["user"]), environment.secret(str(question["password"]))]
                login = _ask(stream, words)
                if "error" in login:
                    raise ProbeError(f"Redis does not let {question['user']} in: {login['error']}")
            return {name: _ask(stream, [str(word) for word in words]) for name, words in question["commands"].items()}
    except TimeoutError:
        raise ProbeError(
            f"Redis at {address[0]}:{address[1]} gave no answer within {environment.timeout:g} s"
        ) from None
    except ConnectionRefusedError:
        raise ProbeError(f"connection refused: no Redis listens at {address[0]}:{address[1]}") from None


def _ask(stream: Any, words: list[str]) -> dict[str, Any]:
    encoded = [word.encode() for word in words]
    stream.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
    stream.flush()
    return _reply(stream)


def _reply(stream: Any) -> dict[str, Any]:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ProbeError("Redis closed the connection")
    kind, rest = line[:1], line[1:-2].decode("utf-8", "replace")
    if kind == b"-":
        return {"error": rest}
    if kind == b"+":
        return {"reply": rest}
    if kind == b":":
        return {"reply": int(rest)}
    if kind == b"$":
        length = int(rest)
        return {"reply": None if length < 0 else stream.read(length + 2)[:-2].decode("utf-8", "replace")}
    if kind == b"*":
        return {"reply": [_reply(stream).get("reply") for _ in range(max(0, int(rest)))]}
    raise ProbeError(f"Redis answered with an unknown type {kind!r}")

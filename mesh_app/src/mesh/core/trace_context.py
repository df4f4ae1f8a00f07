"""W3C Trace Context: which trace a request belongs to, from its headers to its log lines and to the calls it makes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, replace

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(r"[\x20-\x7e]{1,512}")
_MAX_MEMBERS = 32
_SAMPLED = 1


@dataclass(frozen=True)
class Trace:
    """One span: ids in lower-case hex; `parent_id` is '' for a trace that begins here."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    sampled: bool = False
    state: str = ""

    def child(self) -> Trace:
        return replace(self, span_id=_random(8), parent_id=self.span_id)

    def headers(self) -> dict[str, str]:
        """What a call made within this span carries."""
        parent = f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"
        return {"traceparent": parent, **({"tracestate": self.state} if self.state else {})}


current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)


def begin(headers: Iterable[tuple[bytes, bytes]], *, sampled: bool) -> Trace:
    """The span of a request: within the caller's trace when its headers are valid, else one that begins here.

    `sampled` is for a new trace; a caller's own decision stays.
    """
    parents, states = [], []
    for name, value in headers:
        if name == b"traceparent":
            parents.append(value.decode("latin-1"))
        elif name == b"tracestate":
            states.append(value.decode("latin-1"))
    found = _PARENT.fullmatch(parents[0].strip()) if len(parents) == 1 else None
    if found is not None:
        version, trace_id, parent_id, flags, more = found.groups()
        if version != "ff" and not (version == "00" and more) and int(trace_id, 16) and int(parent_id, 16):
            return Trace(trace_id, _random(8), parent_id, bool(int(flags, 16) & _SAMPLED), _state(",".join(states)))
    return Trace(_random(16), _random(8), sampled=sampled)


def _state(text: str) -> str:
    return text if _STATE.fullmatch(text) and text.count(",") < _MAX_MEMBERS else ""


def _random(size: int) -> str:
    return os.urandom(size).hex()

"""JSON lines on stdout, each with the ids of the request and the trace it belongs to."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import msgspec

from mesh.core.trace_context import current_trace

request_id: ContextVar[str] = ContextVar("request_id", default="")
log = logging.getLogger("mesh")


_instance = ""


def _line(seconds: float, level: str, message: str, fields: dict[str, Any]) -> bytes:
    line: dict[str, Any] = {
        "ts": f"{_stamp(int(seconds))}.{int(seconds * 1000) % 1000:03d}Z",
        "level": level,
        "instance": _instance,
        "msg": message,
    }
    if request_id.get():
        line["request_id"] = request_id.get()
    trace = current_trace.get()
    if trace is not None:
        line |= {"trace_id": trace.trace_id, "span_id": trace.span_id}
    return msgspec.json.encode(line | fields)


@lru_cache(maxsize=1)
def _stamp(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = dict(getattr(record, "fields", {}))
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _line(record.created, record.levelname.lower(), record.getMessage(), fields).decode()


def log_each(message: str, fields: dict[str, Any]) -> None:
    """The line of every request, at level info: the same as `log.info`, at a third of its cost."""
    if log.isEnabledFor(logging.INFO):
        log_always(message, fields)


def log_always(message: str, fields: dict[str, Any]) -> None:
    """A line that no log level leaves out, such as the record of who changed what."""
    # As in logging, a log that cannot be written stops no request.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.buffer.write(_line(time.time(), "info", message, fields) + b"\n")
        sys.stdout.buffer.flush()


def set_up_logging(instance: str, level: str) -> None:
    global _instance
    _instance = instance
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)

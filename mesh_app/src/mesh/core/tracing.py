"""Spans to an OpenTelemetry collector over OTLP/HTTP, when an endpoint is set and the extra installed."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from mesh.core.log import log
from mesh.core.settings import Settings
from mesh.core.trace_context import Trace

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

EXPORT_TIMEOUT_S = 5
_LAST_WORD_S = 3.0
Attributes = dict[str, str | int]


def open_tracer(settings: Settings) -> Tracer | None:
    """None when tracing is not asked for, or not installed, which one line of the log says."""
    if settings.otlp_endpoint is None:
        return None
    try:
        return Tracer(settings, settings.otlp_endpoint)
    except ImportError as error:
        log.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set but the extra 'otel' is not installed; no spans are sent",
            extra={"fields": {"error": str(error)}},
        )
        return None


class Tracer:
    """Takes spans that have ended."""

    def __init__(self, settings: Settings, endpoint: str) -> None:
        # Memory: only a process that sends spans carries the SDK.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        self._resource = Resource.create(
            {
                "service.name": settings.service,
                "service.namespace": settings.mesh,
                "service.instance.id": settings.instance,
                "service.version": settings.release,
            }
        )
        self._scope = InstrumentationScope("mesh", settings.release)
        self._span, self._context, self._kind, self._flags = ReadableSpan, SpanContext, SpanKind, TraceFlags
        self._ok, self._failed = Status(), Status(StatusCode.ERROR)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=EXPORT_TIMEOUT_S)
        self._processor = BatchSpanProcessor(exporter)

    def record(self, kind: str, name: str, trace: Trace, seconds: float, attributes: Attributes, failed: bool) -> None:
        """`kind` is SERVER or CLIENT; `seconds` is how long the span took until now."""
        ended = time.time_ns()
        self._processor.on_end(
            self._span(
                name,
                context=self._place(trace, trace.span_id),
                parent=self._place(trace, trace.parent_id) if trace.parent_id else None,
                resource=self._resource,
                attributes=attributes,
                kind=self._kind[kind],
                instrumentation_scope=self._scope,
                status=self._failed if failed else self._ok,
                start_time=ended - int(seconds * 1e9),
                end_time=ended,
            )
        )

    def _place(self, trace: Trace, span_id: str) -> SpanContext:
        return self._context(
            int(trace.trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=self._flags(int(trace.sampled))
        )

    async def close(self) -> None:
        """Sends what is waiting, for at most a few seconds."""
        # A collector that does not answer must not hold the process: the thread ends with it.
        last = threading.Thread(target=self._processor.shutdown, daemon=True)
        last.start()
        await asyncio.to_thread(last.join, _LAST_WORD_S)

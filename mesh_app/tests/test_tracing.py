"""W3C trace context through the mesh, and spans to a collector when one is named."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from conftest import MakeMesh
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from support.mesh import Mesh
from support.servers import free_port

from mesh.core.trace_context import begin

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{PARENT}-01"


def lines_of(mesh: Mesh, service: str, request_id: str) -> list[dict[str, Any]]:
    mesh.wait_for_log(service, request_id)
    lines = [json.loads(line) for line in mesh.log(service).read_text().splitlines()]
    return [line for line in lines if line.get("request_id") == request_id]


def test_a_caller_s_trace_goes_through_the_gateway_into_the_logs_of_both_services(open_mesh: Mesh) -> None:
    headers = {"traceparent": VALID, "tracestate": "vendor=x", "X_Request_ID": "traced-1"}
    assert open_mesh.call("GET", "api-gateway", "/api/v1/agents", **headers).status == 200
    seen = [line for name in ("api-gateway", "registry") for line in lines_of(open_mesh, name, "traced-1")]
    assert {line["trace_id"] for line in seen} == {TRACE}
    assert len({line["span_id"] for line in seen}) == 2
    assert PARENT not in {line["span_id"] for line in seen}


@pytest.mark.parametrize("given", ["", "nonsense", f"00-{'0' * 32}-{PARENT}-01"])
def test_without_a_valid_trace_a_new_one_begins(open_mesh: Mesh, given: str) -> None:
    name = f"untraced-{len(given)}"
    headers = {"traceparent": given} if given else {}
    assert open_mesh.call("GET", "api-gateway", "/api/v1/agents", X_Request_ID=name, **headers).status == 200
    seen = [line for service in ("api-gateway", "registry") for line in lines_of(open_mesh, service, name)]
    (trace,) = {line["trace_id"] for line in seen}
    assert len(trace) == 32
    assert int(trace, 16)
    assert trace != TRACE


@pytest.mark.parametrize(
    ("given", "valid"),
    [
        ([VALID], True),
        ([f"00-{TRACE}-{PARENT}-00"], True),
        ([f"01-{TRACE}-{PARENT}-01-what-later-versions-add"], True),
        ([f"00-{TRACE}-{PARENT}-01-more"], False),
        ([f"ff-{TRACE}-{PARENT}-01"], False),
        ([f"00-{'0' * 32}-{PARENT}-01"], False),
        ([f"00-{TRACE}-{'0' * 16}-01"], False),
        ([f"00-{TRACE.upper()}-{PARENT}-01"], False),
        ([f"00-{TRACE[:-1]}-{PARENT}-01"], False),
        ([VALID, VALID], False),
        (["\xff" * 55], False),
    ],
)
def test_only_a_valid_traceparent_is_continued(given: list[str], valid: bool) -> None:
    headers = [(b"traceparent", value.encode("latin-1")) for value in given] + [(b"tracestate", b"a=1")]
    trace = begin(headers, sampled=False)
    assert (trace.trace_id == TRACE, trace.parent_id == PARENT, trace.state == "a=1") == (valid, valid, valid)
    assert trace.sampled == (valid and given[0][53:55] == "01")


def test_tracestate_is_passed_on_as_it_came_and_dropped_when_it_is_not_fit() -> None:
    def sent(*states: str) -> str | None:
        headers = [(b"traceparent", VALID.encode()), *((b"tracestate", state.encode("latin-1")) for state in states)]
        return begin(headers, sampled=False).child().headers().get("tracestate")

    assert sent("a=1", "b=2") == "a=1,b=2"
    assert sent() is None
    for unfit in ("a=\x7f", "\xe9=1", "a=" + "1" * 600, ",".join(f"k{n}=1" for n in range(40))):
        assert sent(unfit) is None


class Collector:
    """A small OTLP/HTTP collector that keeps the spans it is sent, by service."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                for group in request.resource_spans:
                    named = {pair.key: pair.value.string_value for pair in group.resource.attributes}
                    for scope in group.scope_spans:
                        collector.spans += [(named["service.name"], span) for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def of(self, trace_id: str, count: int) -> dict[str, Span]:
        """The spans of one trace by service and name, once there are `count`."""
        deadline = time.monotonic() + 10
        while True:
            found = {f"{service} {span.name}": span for service, span in self.spans if span.trace_id.hex() == trace_id}
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"only {sorted(found)}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()


@pytest.fixture(scope="module")
def mesh(make_mesh: MakeMesh, collector: Collector) -> Mesh:
    mesh = make_mesh("traced")
    mesh.migrate()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    mesh.start("api-gateway", "registry", env=env)
    return mesh


def attributes(span: Span) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


def test_each_request_and_each_call_is_a_span_of_the_caller_s_trace(mesh: Mesh, collector: Collector) -> None:
    assert mesh.call("GET", "api-gateway", "/api/v1/agents", traceparent=VALID, X_Request_ID="spans").status == 200
    spans = collector.of(TRACE, 3)
    outer, inner = spans["api-gateway GET /api/v1/agents"], spans["registry GET /api/v1/agents"]
    call = spans["api-gateway GET registry"]
    assert (outer.kind, call.kind, inner.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER)
    assert outer.parent_span_id.hex() == PARENT
    assert (call.parent_span_id, inner.parent_span_id) == (outer.span_id, call.span_id)
    assert (
        outer.start_time_unix_nano <= call.start_time_unix_nano <= call.end_time_unix_nano <= outer.end_time_unix_nano
    )
    assert attributes(outer) == {
        "http.request.method": "GET",
        "http.route": "/api/v1/agents",
        "url.path": "/api/v1/agents",
        "http.response.status_code": 200,
        "mesh.request_id": "spans",
    }
    (line,) = [line for line in lines_of(mesh, "registry", "spans") if line["msg"] == "request"]
    assert line["span_id"] == inner.span_id.hex()


def test_a_failed_call_is_a_failed_span(mesh: Mesh, collector: Collector) -> None:
    trace = "a" * 32
    assert mesh.call("GET", "api-gateway", "/api/v1/peers", traceparent=f"00-{trace}-{PARENT}-01").status == 502
    spans = collector.of(trace, 2)
    assert {span.status.code for span in spans.values()} == {Status.STATUS_CODE_ERROR}


def test_a_trace_that_its_caller_does_not_record_is_not_sent_and_health_is_no_span(
    mesh: Mesh, collector: Collector
) -> None:
    unsampled, sampled = "b" * 32, "c" * 32
    mesh.call("GET", "api-gateway", "/api/v1/agents", traceparent=f"00-{unsampled}-{PARENT}-00")
    mesh.call("GET", "api-gateway", "/health", traceparent=f"00-{unsampled}-{PARENT}-01")
    mesh.call("GET", "api-gateway", "/api/v1/agents", traceparent=f"00-{sampled}-{PARENT}-01")
    collector.of(sampled, 3)
    assert unsampled not in {span.trace_id.hex() for _, span in collector.spans}


def test_the_last_spans_are_sent_before_the_process_ends(mesh: Mesh, collector: Collector) -> None:
    trace = "d" * 32
    mesh.ports["late"] = free_port()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    mesh.start_as("late", "registry", env=env)
    assert mesh.call("GET", "late", "/api/v1/agents", traceparent=f"00-{trace}-{PARENT}-01").status == 200
    assert collector.of(trace, 0) == {}
    mesh.stop("late")
    collector.of(trace, 1)


def test_a_collector_that_is_not_there_costs_no_request_and_no_long_stop(mesh: Mesh) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    mesh.start_as("alone", "registry", env=env)
    for _ in range(5):
        assert mesh.call("GET", "alone", "/api/v1/agents").status == 200
    started = time.monotonic()
    mesh.stop("alone")
    assert time.monotonic() - started < 8


BUILD = """
import os, sys
from mesh.core.log import set_up_logging
from mesh.core.runtime import Runtime
from mesh.core.settings import load_settings
from mesh.service import service_app
if sys.argv[2:]:
    sys.modules["opentelemetry.sdk"] = None
settings = load_settings(sys.argv[1], os.environ)
set_up_logging("x", "info")
service_app(Runtime(settings))
# The Redis client looks for OpenTelemetry's metrics by itself.
heavy = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto", "cryptography.hazmat")
print(sorted(name for name in sys.modules if name.startswith(heavy)))
"""


@pytest.mark.parametrize("service", ["api-gateway", "registry"])
def test_without_an_endpoint_nothing_of_it_is_imported(mesh: Mesh, service: str) -> None:
    command = [sys.executable, "-c", BUILD, service]
    done = subprocess.run(command, capture_output=True, text=True, env=mesh.env(service), check=True)
    assert done.stdout == "[]\n"


def test_an_endpoint_without_the_extra_is_said_in_one_line(mesh: Mesh) -> None:
    env = {**mesh.env("registry"), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", BUILD, "registry", "without"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert ["is not installed" in line["msg"] for line in said] == [True]


def test_an_endpoint_that_is_no_url_stops_the_start(mesh: Mesh) -> None:
    done = mesh.command("registry", env={"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"})
    assert done.returncode == 78
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in done.stderr

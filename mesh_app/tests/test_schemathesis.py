"""Ten thousand requests that the services' own OpenAPI documents allow or forbid: none makes a service fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from conftest import MakeMesh
from support.fuzz import SEED, Target, fuzz
from support.mesh import SERVICES, TOKENS, Mesh
from test_ui import cookie_of, log_in

from mesh.access.identity import Access
from mesh.web.http import Endpoint, Operation
from mesh.web.openapi import document

REQUESTS = 10_000
EXAMPLES = 12
AGENT = {"name": "fuzzed", "type": "chatbot", "vendor": "openai", "model": "gpt-4"}
counted: dict[str, float] = {}
"""Requests by service, as its own metrics count them."""


@pytest.fixture(scope="module")
def meshes(make_mesh: MakeMesh) -> Iterator[tuple[Mesh, Mesh]]:
    """One that asks for tokens and one that does not."""
    pair = make_mesh("fuzzed", auth="on"), make_mesh("fuzzed_open")
    for mesh in pair:
        mesh.migrate()
        key = mesh.directory / "encryption_key"
        key.write_text("encryption-key-9c1185a5c5e9fc54612808977ee8f548\n")
        mesh.start(wait=False, env={"MESH_ENCRYPTION_KEY_FILES": str(key)})
    for mesh in pair:
        for service in SERVICES:
            mesh.wait(service, 200)
    yield pair
    for mesh in pair:
        mesh.stop()


def total(mesh: Mesh, service: str, family: str) -> float:
    lines = mesh.call("GET", service, "/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"ai_mesh_{family}_total{{"))


def known(mesh: Mesh, service: str) -> dict[str, str]:
    """Values of path parameters that exist."""
    if service == "policy":
        answer = mesh.call("POST", "policy", "/api/v1/evaluate", {"request": {"prompt": "hello"}}, token="admin")
        return {"id": answer.json["decision_id"]}
    body = {**AGENT, "name": f"fuzzed-{service}"}
    return {"id": mesh.call("POST", "registry", "/api/v1/agents", body, token="admin").json["id"]}


def credential(mesh: Mesh, service: str, role: str) -> dict[str, str]:
    """What a browser or a program of this role sends along."""
    if service == "ui":
        return {"Cookie": cookie_of(log_in(mesh, TOKENS[role]), "mesh_session")}
    return {"Authorization": f"Bearer {TOKENS[role]}"}


@pytest.mark.parametrize("service", SERVICES)
def test_no_request_makes_a_service_fail_or_answer_what_it_does_not_describe(
    meshes: tuple[Mesh, Mesh], service: str
) -> None:
    closed, opened = meshes
    targets = [
        Target(closed.url(service), credential(closed, service, "admin")),
        Target(closed.url(service), credential(closed, service, "reader"), excluded=("ignored_auth",)),
        Target(opened.url(service), excluded=("ignored_auth", "missing_required_header")),
    ]
    if service == "api-gateway":
        # Most of its endpoints are those of the other services, which the second and the third are sent to there.
        del targets[1:]
    before = [total(mesh, service, "requests") for mesh in meshes]
    found = fuzz(targets, EXAMPLES, known(closed, service))
    counted[service] = sum(total(mesh, service, "requests") for mesh in meshes) - sum(before)
    listed = "\n".join(found[:20])
    assert not found, f"seed {SEED}, {service}, {len(found)} findings:\n{listed}"
    failures = {f"{mesh.name} {one}": total(mesh, one, "errors") for mesh in meshes for one in SERVICES}
    assert not any(failures.values()), f"seed {SEED}: answers of 500 and more: {failures}"


def test_the_services_themselves_have_counted_ten_thousand_requests() -> None:
    assert set(counted) == set(SERVICES), "runs after the tests above; run the whole file"
    assert sum(counted.values()) >= REQUESTS, counted


class _Doctored(BaseHTTPRequestHandler):
    """Says one thing in its document and does another."""

    answers: dict[str, tuple[int, str, bytes]]

    def do_GET(self) -> None:
        status, content, body = self.answers[self.path.partition("?")[0]]
        self.send_response(status)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def __getattr__(self, name: str) -> Any:
        """Any other method is refused, as it should be."""
        if not name.startswith("do_"):
            raise AttributeError(name)
        return lambda: self.send_error(405)

    def log_message(self, *_arguments: Any) -> None:
        return


class _Answer(msgspec.Struct):
    count: int


def test_a_service_that_does_other_than_it_says_is_found_out() -> None:
    async def nothing(_call: Any) -> Any:
        raise NotImplementedError

    def get(path: str) -> Endpoint:
        return Operation("GET", path, Access.OPEN, summary="Doctored.", answer=_Answer).by(nothing)

    json = "application/json"
    answers = {
        "/fine": (200, json, b'{"count":1}'),
        "/fails": (500, json, b"{}"),
        "/undocumented": (206, json, b'{"count":1}'),
        "/misshapen": (200, json, b'{"count":"one"}'),
        "/mislabelled": (200, "text/html", b"<p>1</p>"),
    }
    openapi = document("doctored", "1", [get(path) for path in answers])
    handler = type("Doctored", (_Doctored,), {"answers": {**answers, "/openapi.json": (200, json, openapi)}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        found = fuzz([Target(address, excluded=("allow_header_conformance", "unsupported_method"))], 2, {})
    finally:
        server.shutdown()
        server.server_close()
    named: dict[str, set[str]] = {}
    for sentence in found:
        operation, title = sentence.split(": ")[:2]
        named.setdefault(operation, set()).add(title)
    assert named == {
        "GET /fails": {"Server error", "Undocumented status code"},
        "GET /undocumented": {"Undocumented status code"},
        "GET /misshapen": {"Response violates schema"},
        "GET /mislabelled": {"Undocumented Content-Type"},
    }, found

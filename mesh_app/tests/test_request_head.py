"""Request line and headers: a caller that nobody knows yet cannot make a process hold more than a bound of them."""

from __future__ import annotations

import pytest
from support.mesh import Mesh
from support.raw import send_raw

from mesh.core.server import HEAD_LIMIT


@pytest.mark.parametrize("begin", [b"GET /", b"GET / HTTP/1.1\r\nX-Endless: "])
def test_a_request_line_or_header_without_end_is_cut_off(open_mesh: Mesh, begin: bytes) -> None:
    answer = send_raw(open_mesh.ports["registry"], [begin, *[b"a" * 65536] * 200])
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_a_large_head_within_the_bound_and_a_body_in_small_pieces_are_answered(open_mesh: Mesh) -> None:
    head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: " + b"a" * (HEAD_LIMIT // 2)
    body = [b"\r\nContent-Length: 262144\r\n\r\n", *[b"a" * 1024] * 256]
    assert send_raw(open_mesh.ports["ui"], [head, *body]).startswith(b"HTTP/1.1 303 ")

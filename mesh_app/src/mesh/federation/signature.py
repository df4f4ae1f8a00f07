"""HMAC-SHA-256 signatures between peers, over request and response, valid for a minute."""

from __future__ import annotations

import hashlib
import hmac
import time

from starlette.requests import Request

from mesh.access.identity import Identity, unauthorized

HEADER = "x-mesh-signature"
VALID_FOR = 60
"""Seconds that two meshes' clocks may differ."""


class Signer:
    """Signs in the name of `mesh` and checks others' signatures. A header reads `<mesh>;<unix time>;<hex MAC>`."""

    def __init__(self, key: str, mesh: str) -> None:
        self._key = key.encode()
        self.mesh = mesh

    def sign_request(self, method: str, target: str) -> str:
        """`target` is the path with its query string, as it goes over the wire."""
        return self._sign("request", method, target)

    def sign_response(self, request_header: str, body: bytes) -> str:
        """Bound to the request that it answers, so that an old answer cannot be played back."""
        return self._sign("response", request_header, hashlib.sha256(body).hexdigest())

    def check_request(self, header: str, method: str, target: str) -> str:
        """The name of the mesh that signed; raises ValueError with the reason."""
        return self._check(header, "request", method, target)

    def check_response(self, header: str, request_header: str, body: bytes) -> str:
        """The name of the mesh that signed; raises ValueError with the reason."""
        return self._check(header, "response", request_header, hashlib.sha256(body).hexdigest())

    def _sign(self, *parts: str) -> str:
        now = str(int(time.time()))
        return f"{self.mesh};{now};{self._mac(self.mesh, now, *parts)}"

    def _check(self, header: str, *parts: str) -> str:
        fields = header.split(";")
        if len(fields) != 3 or not fields[1].isascii() or not fields[1].isdecimal():
            raise ValueError("the signature is missing or malformed")
        mesh, stamp, mac = fields
        if not hmac.compare_digest(mac.encode(), self._mac(mesh, stamp, *parts).encode()):
            raise ValueError("the signature is wrong; both meshes need the same federation key")
        if abs(time.time() - int(stamp)) > VALID_FOR:
            raise ValueError(f"the signature is more than {VALID_FOR} s old or ahead; compare both meshes' clocks")
        return mesh

    def _mac(self, *parts: str) -> str:
        return hmac.new(self._key, "\n".join(("aimesh-federation-1", *parts)).encode(), hashlib.sha256).hexdigest()


class PeerAuthenticator:
    """Admits a request that a peer signed, with role `peer`."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    async def __call__(self, request: Request) -> Identity | None:
        header = request.headers.get(HEADER)
        if header is None:
            return None
        try:
            return Identity(self._signer.check_request(header, request.method, target_of(request)), "peer", "peer")
        except ValueError as error:
            raise unauthorized(f"This peer is not admitted: {error}.") from None


def target_of(request: Request) -> str:
    query = request.scope["query_string"].decode("latin-1")
    path: str = request.scope["path"]
    return f"{path}?{query}" if query else path

"""A real OpenID provider: the npm package oidc-provider, run by the node of the test environment."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from .mesh import http
from .npm import NODE, install
from .servers import free_port, wait_for_port

HERE = Path(__file__).resolve().parents[1] / "oidc"
AUDIENCE = "aimesh-api"
SECRET = "client-secret-of-the-tests-0f3a9c"
CLIENTS: dict[str, dict[str, Any]] = {
    "the-admin": {"roles": ["something", "reader", "admin"]},
    "the-reader": {"roles": "openid reader"},
    "the-nested": {"realm_access": {"roles": ["operator"]}},
    "nobody": {"roles": ["janitor"]},
}


class OpenIdProvider:
    """One issuer on one port; its signing keys change from start to start."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.keys: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def kid(self, alg: str) -> str:
        return f"{alg.lower()}-{self._starts}"

    def start(self, *, new_keys: bool = True) -> None:
        if new_keys:
            self._starts += 1
            self.keys = {
                "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
                "ES256": ec.generate_private_key(ec.SECP256R1()),
            }
        config = self._directory / "config.json"
        keys = [self._jwk(alg) for alg in self.keys]
        fields = {"issuer": self.issuer, "port": self.port, "secret": SECRET, "clients": CLIENTS, "keys": keys}
        config.write_text(json.dumps(fields))
        with (HERE / "provider.mjs").open("rb") as script, (self._directory / "log").open("ab") as log:
            command = [str(NODE / "bin" / "node"), "--input-type=module", "-", str(config)]
            env = {"PATH": os.environ["PATH"], "NODE_ENV": "test"}
            self._process = subprocess.Popen(command, stdin=script, stdout=log, stderr=log, cwd=install(HERE), env=env)
        wait_for_port(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _jwk(self, alg: str) -> dict[str, Any]:
        algorithm = RSAAlgorithm if alg == "RS256" else ECAlgorithm
        jwk: dict[str, Any] = algorithm.to_jwk(self.keys[alg], as_dict=True)
        return {**{k: v for k, v in jwk.items() if k != "key_ops"}, "kid": self.kid(alg), "alg": alg, "use": "sig"}

    def token(self, client: str = "the-admin", alg: str = "RS256", audience: str = AUDIENCE) -> str:
        """An access token as the provider itself issues it to `client`."""
        basic = base64.b64encode(f"{client}:{SECRET}".encode()).decode()
        body = f"grant_type=client_credentials&resource=urn:{alg}:{audience}".encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"}
        answer = http("POST", f"{self.issuer}/token", body, headers)
        assert answer.status == 200, answer.text
        return str(answer.json["access_token"])

    def sign(self, claims: dict[str, Any], alg: str = "RS256", **header: Any) -> str:
        """A token by the provider's own key with any claims, for what a provider does not issue."""
        return jwt.encode(claims, self.keys[alg], alg, headers={"kid": self.kid(alg), **header})

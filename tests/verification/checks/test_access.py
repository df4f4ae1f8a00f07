"""Nobody gets in without a valid credential, unless the mesh listens on loopback only and says so."""

from __future__ import annotations

import base64
import hmac
import json

from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, NotApplicableError, require_none
from vocabulary.targets import each_endpoint, each_host

DOORS = {
    "api-gateway": (("POST", "/api/v1/agents"), ("POST", "/graphql")),
    "registry": (("POST", "/api/v1/agents"),),
    "telemetry": (("POST", "/api/v1/metrics"),),
    "policy": (("POST", "/api/v1/evaluate"),),
    "federation": (("GET", "/api/v1/peers"),),
}
LOOPBACK = ("127.", "::1")


def doors(mesh: Mesh) -> list[Target]:
    return [target for target in each_endpoint(mesh) if target.subject in DOORS]


def strangers(mesh: Mesh) -> dict[str, str]:
    """By what is wrong with it, a bearer token that must not open anything."""
    name = f"aimesh:{mesh.plan['mesh']['name']}"
    claims = {"iss": name, "aud": name, "sub": "stranger", "role": "admin", "iat": 0, "nbf": 0, "exp": 4102444800}
    unsigned = f"{_segment({'alg': 'none', 'typ': 'JWT', 'kid': 'k'})}.{_segment(claims)}"
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT', 'kid': 'k'})}.{_segment(claims)}"
    forged = hmac.digest(b"a key that is not the mesh's", signed.encode(), "sha256")
    return {
        "wrong token": "wrong",
        "unsigned JWT": f"{unsigned}.",
        "forged JWT": f"{signed}.{base64.urlsafe_b64encode(forged).decode().rstrip('=')}",
        "unknown API key": f"aimesh_{'0' * 32}_{'0' * 64}",
    }


def _segment(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


@check(
    "access.{subject}.refuses_anonymous",
    "Call to {subject} without a valid credential is refused",
    targets=doors,
    hint="smoke",
)
def test_strangers_are_refused(mesh: Mesh, target: Target) -> None:
    if not mesh.auth:
        raise NotApplicableError("mesh_auth is off, which the plan allows on loopback only")
    base = mesh.endpoint_url(target.subject, target.host)
    host = mesh.host(target.host)
    # An empty body writes nothing even where the lock is missing.
    steps = [
        mesh.request(method, f"{base}{path}", anonymous=True, name=path, **({"json": {}} if method == "POST" else {}))
        for method, path in DOORS[target.subject]
    ]
    steps += [
        step | {"name": f"{step['name']} ({what})", "headers": {"Authorization": f"Bearer {token}"}}
        for step in steps
        for what, token in strangers(mesh).items()
    ]
    answers = host.scenario(steps, "401 to a stranger")
    wrong = [
        f"{name}: {answer.get('error') or answer.get('status')}"
        for name, answer in answers.items()
        if answer.get("status") != 401
    ]
    if len(answers) < len(steps) and not wrong:
        raise MismatchError(expected=f"{len(steps)} answers", actual=f"{len(answers)} answers")
    require_none(wrong, "401 to every call without a valid credential")


@check(
    "access.off.loopback_only",
    "With authentication off, nothing listens beyond loopback",
    targets=each_host,
    capability="sockets",
    hint="network",
)
def test_auth_off_stays_on_loopback(mesh: Mesh, target: Target) -> None:
    if mesh.auth:
        raise NotApplicableError("mesh_auth is on")
    ports = {each["port"] for each in [*mesh.plan["endpoints"], *mesh.plan["instances"]] if each["host"] == target.host}
    rows = [row for row in mesh.host(target.host).listeners() if row["port"] in ports]
    require_none(
        [f"{row['address']}:{row['port']}" for row in rows if not row["address"].startswith(LOOPBACK)],
        "listeners on 127.0.0.1 only",
    )

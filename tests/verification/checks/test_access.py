"""Nobody writes without a token, unless the mesh listens on loopback only and says so."""

from __future__ import annotations

from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, NotApplicableError, require_none
from vocabulary.targets import each_endpoint, each_host

WRITES = {
    "api-gateway": ("/api/v1/agents", "/graphql"),
    "registry": ("/api/v1/agents",),
    "telemetry": ("/api/v1/metrics",),
    "policy": ("/api/v1/evaluate",),
}
LOOPBACK = ("127.", "::1")


def writable_endpoints(mesh: Mesh) -> list[Target]:
    return [target for target in each_endpoint(mesh) if target.subject in WRITES]


@check(
    "access.{subject}.refuses_anonymous",
    "Write to {subject} without a token is refused",
    targets=writable_endpoints,
    hint="smoke",
)
def test_anonymous_write_is_refused(mesh: Mesh, target: Target) -> None:
    if not mesh.auth:
        raise NotApplicableError("mesh_auth is off, which the plan allows on loopback only")
    base = mesh.endpoint_url(target.subject, target.host)
    host = mesh.host(target.host)
    # An empty body writes nothing even where the lock is missing.
    steps = [
        mesh.request("POST", f"{base}{path}", anonymous=True, name=path, json={}) for path in WRITES[target.subject]
    ]
    steps += [
        step | {"name": f"{step['name']} (wrong token)", "headers": {"Authorization": "Bearer wrong"}} for step in steps
    ]
    answers = host.scenario(steps, "401 to an anonymous write")
    wrong = [
        f"{name}: {answer.get('error') or answer.get('status')}"
        for name, answer in answers.items()
        if answer.get("status") != 401
    ]
    if len(answers) < len(steps) and not wrong:
        raise MismatchError(expected=f"{len(steps)} answers", actual=f"{len(answers)} answers")
    require_none(wrong, "401 to every write without a valid token")


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

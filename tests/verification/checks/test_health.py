"""Every instance and every endpoint answers, with the release that the plan names."""

from __future__ import annotations

from typing import Any

from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, require, require_none
from vocabulary.targets import each_endpoint, each_instance


@check("health.{subject}.instance", "Instance of {subject} is healthy", targets=each_instance)
def test_instance_is_healthy(mesh: Mesh, target: Target) -> None:
    answer = mesh.host(target.host).http(
        **mesh.request("GET", f"{mesh.instance_url(target.data)}/health", anonymous=True),
        expected="200 from /health",
    )
    judge_health(mesh, target, answer)


@check(
    "health.{subject}.endpoint",
    "Endpoint of {subject} answers where its callers look",
    targets=each_endpoint,
    hint="edge",
)
def test_endpoint_is_healthy(mesh: Mesh, target: Target) -> None:
    vantage = mesh.callers_of(target.data)
    # A port that does not answer on a host that cannot be reached at all says nothing of the service.
    mesh.answers.require_reachable(target.host)
    answer = vantage.http(
        **mesh.request("GET", f"{target.data['url']}/health", anonymous=True), expected="200 from /health"
    )
    judge_health(mesh, target, answer)


@check("health.{subject}.alive", "Instance of {subject} tells liveness apart from readiness", targets=each_instance)
def test_liveness_touches_no_dependency(mesh: Mesh, target: Target) -> None:
    url = f"{mesh.instance_url(target.data)}/health/live"
    answer = mesh.host(target.host).http(**mesh.request("GET", url, anonymous=True), expected="200 from /health/live")
    require("status of /health/live", answer["status"], 200)


def judge_health(mesh: Mesh, target: Target, answer: dict[str, Any]) -> None:
    """Raises MismatchError unless status and body of a /health answer are those of the wanted release."""
    body = answer["json"]
    if not isinstance(body, dict):
        raise MismatchError(expected="JSON from /health", actual=f"status {answer['status']}: {answer['body'][:120]!r}")
    checks = body.get("checks") or {}
    broken = [
        f"{name}: {state.get('error') or 'not ok'}"
        for name, state in sorted(checks.items())
        if not (isinstance(state, dict) and state.get("ok") is True)
    ]
    if answer["status"] != 200:
        reason = "; ".join(broken) or str(body.get("status") or body.get("title") or body)
        raise MismatchError(
            expected="status of /health: 200", actual=f"status of /health: {answer['status']}, {reason}"
        )
    require("status", body.get("status"), "ok")
    require("service", body.get("service"), target.subject)
    require("version", body.get("version"), mesh.plan["release"]["id"])
    require_none(broken, "every dependency ok")
    missing = sorted(needed(mesh, target.subject) - set(checks))
    require_none([f"no check of {name}" for name in missing], "a check of each dependency")
    schema = body.get("schema")
    if schema is not None and not int(schema.get("have") or 0) >= int(schema.get("want") or 0):
        raise MismatchError(expected=f"schema {schema.get('want')} or later", actual=f"schema {schema.get('have')}")


def needed(mesh: Mesh, service: str) -> set[str]:
    """The stores that a service depends on by the plan, and that its health must therefore look at."""
    return {"postgresql", "redis"} & set(mesh.plan["services"][service]["depends_on"])

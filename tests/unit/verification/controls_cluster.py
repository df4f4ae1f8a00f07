"""Negative controls of what only a cluster shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control_kit import Control, answer_of
from healthy import Change


def pod(name: str, **values: Any) -> Change:
    return answer_of("pods", lambda rows: rows[name].update(values))


def later(name: str, **values: Any) -> Change:
    """Only in the second look."""
    return answer_of("pods", lambda rows: rows[name].update(values), "'sample': 2")


def reach(change: Callable[[dict[str, str]], Any]) -> Change:
    return answer_of("enforcement", change)


def _control(check: str, broken: str, change: Change, says: str) -> Control:
    return Control(check, broken, change, says, plan="kubernetes")


CONTROLS = [
    _control(
        "network.policies.enforced",
        "everything is open",
        reach(lambda seen: dict.fromkeys(seen, "open")),
        "not enforced: policy reaches",
    ),
    _control(
        "network.policies.enforced",
        "a planned flow is cut",
        reach(lambda seen: dict.fromkeys(seen, "closed")),
        "registry does not reach postgresql:5432",
    ),
    _control(
        "process.{subject}.supervised",
        "a pod that does not run",
        pod("registry@a", running=False, ready=False, phase="Pending"),
        "registry@a is Pending, not ready",
    ),
    _control(
        "process.{subject}.supervised",
        "a pod that nobody makes anew",
        pod("redis", restart_policy="Never"),
        "redis would not start after a reboot",
    ),
    _control("process.{subject}.steady", "a restart", later("ui@b", restarts=1), "restarts: 1"),
    _control("process.{subject}.steady", "another pod", later("ui@b", uid="other"), "start of the main process: other"),
    _control("container.{subject}.unprivileged", "privileged", pod("postgresql", privileged=True), "it is privileged"),
    _control("container.{subject}.image", "an old image", pod("policy@a", image="aimesh/mesh-app:0"), "mesh-app:0"),
    _control(
        "container.{subject}.image",
        "an image of another id under the same tag",
        pod("policy@b", image_id="sha256:0"),
        "id of the image: sha256:0",
    ),
    _control(
        "container.{subject}.networks",
        "a port of the node",
        pod("ui@a", published=[{"address": "", "port": 80}]),
        ":80 is published",
    ),
    _control("container.{subject}.healthy", "no probes", pod("registry@b", health_test=[]), "registry@b has none"),
]

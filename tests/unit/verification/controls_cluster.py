"""Negative controls of what only a cluster shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import timer
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


def scheduled(kind: str, **values: Any) -> Change:
    """What the scheduler beside the database says of a kind of run."""
    return answer_of("backup", lambda seen: seen["status"]["timers"][timer(kind)].update(values), "'status'")


def unscheduled(kind: str) -> Change:
    def edit(seen: dict[str, Any]) -> None:
        del seen["status"]["timers"][timer(kind)]

    return answer_of("backup", edit, "'status'")


CONTROLS = [
    _control(
        "backup.schedule.active", "nobody looks", scheduled("full", next=None), "full.timer is scheduled, and nothing"
    ),
    _control(
        "backup.schedule.active",
        "at another time",
        scheduled("check", when="daily"),
        "check.timer is scheduled for daily",
    ),
    _control(
        "backup.schedule.active", "not at all", unscheduled("differential"), "differential.timer is not scheduled"
    ),
    _control(
        "backup.dump.scheduled", "nobody looks", scheduled("dump", next=None), "the dump is scheduled, and nothing"
    ),
    _control("backup.dump.scheduled", "at another time", scheduled("dump", when="0 9 * * *"), "for 0 9 * * *"),
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
    _control(
        "process.{subject}.supervised",
        "one pod more than planned that does not come up",
        pod("ui@a", complaints=["The image aimesh/mesh-app:0 of pod ui-x cannot be had (ErrImageNeverPull)"]),
        "pod ui-x cannot be had",
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

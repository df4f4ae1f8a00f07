"""What is wrong with a pod: decided over the pod as the API server has it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Object = Mapping[str, Any]

ABSENT = "ErrImageNeverPull"
ABSENT_REMEDY = "; give it to every node, or set mesh_image_registry to one that has it"
NEVER = ("InvalidImageName", ABSENT)
"""Waiting for it to get better is in vain."""
PULLS = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed", *NEVER)
CREATES = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")
CRASHES = "CrashLoopBackOff"
LATE_S = 300.0
"""A pod that is older and not ready is not on its way any more."""


@dataclass(frozen=True)
class Trouble:
    """Why a pod will not become ready. `previous`: the log that tells is that of the container before this one."""

    sentence: str
    pod: str
    container: str = ""
    previous: bool = False
    certain: bool = False
    """It will not pass; what is not certain counts once it has lasted."""


def troubles(pod: Object, crash_limit: int) -> list[Trouble]:
    """Everything that keeps a pod from running; empty for one that runs or is on its way."""
    name = pod["metadata"]["name"]
    return [
        found
        for status, planned in _containers(pod)
        if (found := _of_container(name, status, planned.get("image", status.get("image", "")), crash_limit))
    ]


def is_ready(pod: Object) -> bool:
    """Ready, and not on its way out."""
    return not pod["metadata"].get("deletionTimestamp") and condition(pod, "Ready").get("status") == "True"


def condition(each: Object, kind: str) -> Mapping[str, Any]:
    """One condition of an object's status, empty when it has none of the kind."""
    rows = each.get("status", {}).get("conditions") or []
    return next((row for row in rows if row.get("type") == kind), {})


def complaints(pod: Object, now: float) -> list[str]:
    """Why a pod that should serve does not, a sentence each; none for one that is on its way. `now` in Unix seconds."""
    if is_ready(pod):
        return []
    name = pod["metadata"]["name"]
    found = [each.sentence for each in troubles(pod, 1)]
    homeless = unschedulable(pod)
    found += [f"The pod {name} finds no node: {homeless}"] if homeless else []
    restarts = sum(int(status.get("restartCount", 0)) for status, _ in _containers(pod))
    if not found and restarts:
        found.append(f"The pod {name} has restarted {restarts} times, and is not ready")
    age = now - datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()
    if not found and age > LATE_S:
        found.append(f"The pod {name} is not ready after {age / 60:.0f} minutes")
    return found


def unschedulable(pod: Object) -> str:
    """Why no node takes the pod, empty when one has."""
    scheduled = condition(pod, "PodScheduled")
    return str(scheduled.get("message", "no node takes it")) if scheduled.get("reason") == "Unschedulable" else ""


def ending(status: Mapping[str, Any]) -> str:
    """How a container last ended, in words; empty when it did not."""
    state = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
    if not state:
        return ""
    if state.get("reason") == "OOMKilled":
        return "killed at its memory limit"
    return f"exit code {state.get('exitCode')}"


def _containers(pod: Object) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    status, spec = pod.get("status", {}), pod.get("spec", {})
    for part, key in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        planned = {each["name"]: each for each in spec.get(part) or []}
        for each in status.get(key) or []:
            yield each, planned.get(each["name"], {})


def _of_container(pod: str, status: Mapping[str, Any], image: str, crash_limit: int) -> Trouble | None:
    waiting = status.get("state", {}).get("waiting") or {}
    why, told = str(waiting.get("reason", "")), str(waiting.get("message", "")).strip().rstrip(".")
    container, restarts = status["name"], int(status.get("restartCount", 0))
    if why in PULLS:
        detail = f": {told}" if told and told != why else ""
        remedy = ABSENT_REMEDY if why == ABSENT else ""
        return Trouble(
            f"The image {image} of pod {pod} cannot be had ({why}{detail}){remedy}", pod, certain=why in NEVER
        )
    if why in CREATES:
        return Trouble(
            f"The container {container} of pod {pod} cannot be made ({why}: {told or 'no reason given'})", pod
        )
    if why == CRASHES and restarts >= crash_limit:
        how = ending(status)
        return Trouble(
            f"The container {container} of pod {pod} ends again and again ({restarts} restarts"
            f"{', the last time with ' + how if how.startswith('exit') else ', ' + how if how else ''})",
            pod,
            container,
            previous=True,
            certain=True,
        )
    return None

"""What is wrong with a pod: decided over the pod as the API server has it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]

NEVER = ("InvalidImageName", "ErrImageNeverPull")
"""Waiting for it to get better is in vain."""
PULLS = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed", *NEVER)
CREATES = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")
CRASHES = "CrashLoopBackOff"


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
        return Trouble(f"The image {image} of pod {pod} cannot be had ({why}{detail})", pod, certain=why in NEVER)
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

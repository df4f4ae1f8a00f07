"""Where things are on a Compose host, and who runs what there."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.module_utils.compose import PROJECT
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import Container, Image, Project
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

MESH, EDGE, OUTSIDE = "mesh", "edge", "outside"
"""Networks: where everything meets, with no way out; where ports are published; where calls leave the host."""
APP_ID, POSTGRES_ID, REDIS_ID, HAPROXY_ID, MONITORING_ID = "10001", "10011", "10012", "10013", "10014"
"""Accounts of the images; the host has none of these names, so its files carry the numbers."""
IMAGES = {"app": ("mesh-app",), "edge": ("haproxy",), "data": ("postgresql",), "cache": ("redis",)}
"""Role of a host → the images that it needs, besides `MONITORING` where it is watched."""
MONITORING = "monitoring"
"""The image of everything that watches the mesh."""


def folder(plan: Plan) -> str:
    """Where an operator types `docker compose ps`."""
    return config(plan, "compose")


def base_path(plan: Plan) -> str:
    """The file with the networks, which every container needs."""
    return f"{folder(plan)}/compose.yaml"


def part_path(plan: Plan, service: str) -> str:
    """The file of a container that every host of its role has once."""
    return f"{folder(plan)}/parts/{service}.yaml"


def slot_path(plan: Plan, service: str) -> str:
    """The file of a slot, as `registry-a`; a rollout writes it and no other."""
    return f"{folder(plan)}/slots/{service}.yaml"


def container(plan: Plan, service: str, path: str) -> Container:
    return Container(service, (base_path(plan), path))


def project(plan: Plan) -> Project:
    return Project(PROJECT, folder(plan), tuple(f"{PROJECT}-{network}" for network in (MESH, EDGE, OUTSIDE)))


def unit_name(service: str) -> str:
    """Name of a container of the mesh."""
    return f"{PROJECT}-{service}"


def image(plan: Plan, name: str) -> Image:
    return Image(name, **plan["release"]["images"][name])


def networks(published: str | None, *, calls_out: bool) -> tuple[str, ...]:
    """Networks of a container. One way out at most: answers leave the way that the calls came."""
    if published:
        return (MESH, EDGE)
    return (MESH, OUTSIDE) if calls_out else (MESH,)

"""What of a Docker Engine is ours, and its removal: containers and networks of one project, images that we brought."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.docker_client import PROJECT_LABEL, docker, inspect
from ansible_collections.aimesh.mesh.plugins.module_utils.image_record import OurImage, path_of, read_images

STOP_TIMEOUT_S = 600.0


@dataclass
class FoundInDocker:
    """`images` has reference → bytes; `others` says what in the engine is not ours, empty when nothing is."""

    containers: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    images: dict[str, int] = field(default_factory=dict)
    others: str = ""


def look(project: str, state_dir: str) -> FoundInDocker:
    """What there is. A host without Docker has nothing. Raises HostChangeError when the engine does not answer."""
    if not project or shutil.which("docker") is None:
        return FoundInDocker()
    recorded = read_images(state_dir)
    mine = f"label={PROJECT_LABEL}={project}"
    containers = _lines("container", "ls", "--all", "--filter", mine, "--format", "{{.Names}}")
    every = _lines("container", "ls", "--all", "--format", "{{.Names}}")
    images = _present(recorded)
    ids = {image.id for image in recorded}
    foreign = {
        "containers": set(every) - set(containers),
        "images": set(_lines("image", "ls", "--quiet", "--no-trunc")) - ids,
        "volumes": set(_lines("volume", "ls", "--quiet")),
    }
    return FoundInDocker(
        containers=sorted(containers),
        networks=sorted(_lines("network", "ls", "--filter", mine, "--format", "{{.Name}}")),
        images=images,
        others=", ".join(f"{len(names)} {kind}" for kind, names in foreign.items() if names),
    )


def remove(containers: list[str], networks: list[str], images: list[str], state_dir: str) -> None:
    """Stop, each with its own time to end, and take away. Raises HostChangeError; may be repeated."""
    if containers:
        docker("container", "stop", *containers, timeout_s=STOP_TIMEOUT_S)
        docker("container", "rm", "--volumes", *containers)
    if networks:
        docker("network", "rm", *networks)
    if images:
        docker("image", "rm", *images)
    Path(path_of(state_dir)).unlink(missing_ok=True)


def _present(recorded: Iterable[OurImage]) -> dict[str, int]:
    """Those of our images that still are what we brought: a name that means something else by now is not ours."""
    wanted = {image.reference: image.id for image in recorded}
    found = {}
    for line in inspect("image", wanted, "{{json .Id}} {{.Size}} {{json .RepoTags}} {{json .RepoDigests}}"):
        id_, size, tags, digests = line.split(" ", 3)
        for name in [*(json.loads(tags) or []), *(json.loads(digests) or [])]:
            if wanted.get(name) == json.loads(id_):
                found[name] = int(size)
    return dict(sorted(found.items()))


def _lines(*arguments: str) -> list[str]:
    return [line.strip() for line in docker(*arguments).splitlines() if line.strip()]

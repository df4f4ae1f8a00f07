"""What a test looks at on a Compose host: somebody else's project, and every trace that a mesh leaves in the engine."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from tests.testbed import BASES, Vm

IMAGE = "neighbour/thing:1"
COMPOSE_FILE = """\
services:
  thing:
    image: neighbour/thing:1
    command: sleep infinity
    init: true
    restart: unless-stopped
    volumes: [keep:/keep]
volumes:
  keep:
"""


@dataclass(frozen=True)
class Foreign:
    """A project of a neighbour: one container, a network, a volume, its image, and an image that nothing runs."""

    vm: Vm
    before: str

    @classmethod
    def started_on(cls, vm: Vm) -> Foreign:
        base = BASES["debian-13"].ensure()
        archive = subprocess.run(["docker", "save", base], capture_output=True, timeout=120, check=True).stdout
        subprocess.run(
            ["docker", "exec", "--interactive", vm.container, "docker", "load", "--quiet"],
            input=archive, capture_output=True, timeout=120, check=True,
        )  # fmt: skip
        vm.run(f"docker tag {base} {IMAGE}; docker tag {base} neighbour/unused:1; docker rmi {base}")
        vm.run(f"mkdir -p /srv/neighbour && cat > /srv/neighbour/compose.yaml <<'END'\n{COMPOSE_FILE}END")
        vm.run("cd /srv/neighbour && docker compose up --detach --quiet-pull 2>&1")
        return cls(vm, cls._seen(vm))

    def as_of_now(self) -> Foreign:
        """The same things, as they are since the test itself restarted the machine."""
        now = self._seen(self.vm)
        assert _names(now) == _names(self.before)
        return Foreign(self.vm, now)

    def is_untouched(self) -> bool:
        return self._seen(self.vm) == self.before

    @staticmethod
    def _seen(vm: Vm) -> str:
        return vm.run(
            "docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Pid}}' neighbour-thing-1;"
            " docker network inspect --format '{{.Id}}' neighbour_default;"
            " docker volume inspect --format '{{.Name}} {{.CreatedAt}}' neighbour_keep;"
            " docker image ls --quiet --no-trunc --filter reference='neighbour/*'"
        )


def _names(seen: str) -> list[str]:
    return [line.split()[0] for line in seen.splitlines()]


def left_of_the_mesh(vm: Vm) -> list[str]:
    """Containers, networks, volumes and images in the engine that are the mesh's."""
    return vm.run(
        "docker ps --all --format 'container {{.Names}}' | grep aimesh;"
        " docker network ls --format 'network {{.Name}}' | grep aimesh;"
        " docker volume ls --format 'volume {{.Name}}' | grep aimesh;"
        " docker image ls --format 'image {{.Repository}}:{{.Tag}}' | grep aimesh",
        check=False,
    ).splitlines()


def told_by_the_engine(vm: Vm) -> str:
    """Everything that `docker inspect`, `docker history` and `docker logs` say of the mesh, as one text."""
    containers = vm.run("docker ps --all --quiet --filter label=com.docker.compose.project=aimesh").split()
    images = vm.run("docker image ls --quiet --no-trunc --filter 'reference=aimesh/*'").split()
    assert containers
    assert images
    told = [vm.run(f"docker inspect {' '.join([*containers, *images])}")]
    assert len(json.loads(told[0])) == len(containers) + len(images)
    told += [vm.run(f"docker history --no-trunc {image}") for image in images]
    told += [vm.run(f"docker logs {container} 2>&1") for container in containers]
    return "\n".join(told)

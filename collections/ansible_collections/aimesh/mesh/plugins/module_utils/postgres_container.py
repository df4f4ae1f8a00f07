"""A PostgreSQL cluster in a container of a Compose project; its data directory has the same path on the host."""

from __future__ import annotations

import subprocess
import time

from ansible_collections.aimesh.mesh.plugins.module_utils.compose import ComposeUnit, Project, trouble_of
from ansible_collections.aimesh.mesh.plugins.module_utils.compose_convergence import older_than_definition
from ansible_collections.aimesh.mesh.plugins.module_utils.docker_client import DockerError, run_docker
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_client import TIMEOUT_S, Client
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_data_folder import DataFolder
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_programs import START_TIMEOUT_S, last_line
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import (
    ClusterContainer,
    PostgresError,
    WantedCluster,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import log_excerpt


def run_in_container(cluster: WantedCluster, argv: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program in the cluster's container; while that is down, in one of its own that goes afterwards."""
    where = _container(cluster)
    try:
        if _project(where).show([cluster.unit])[cluster.unit].running:
            command = ["exec", "--interactive", "--user", cluster.run_as, cluster.unit, *argv]
        else:
            files = [part for path in where.files for part in ("--file", path)]
            command = ["compose", "--progress", "quiet", "--project-name", where.project, "--project-directory"]
            command += [where.folder, *files, "run", "--rm", "--no-deps", "--no-TTY", where.service, *argv]
        return run_docker(command, text=text, timeout_s=TIMEOUT_S, env={"COMPOSE_IGNORE_ORPHANS": "true"})
    except DockerError as error:
        raise PostgresError(str(error)) from None


class ContainerManager(DataFolder):
    """initdb in a container of the image, and the container that Compose runs."""

    def __init__(self, cluster: WantedCluster) -> None:
        super().__init__(cluster)
        self._where = _container(cluster)
        self._unit = ComposeUnit(self._where.service, self._where.files)
        self._project = _project(self._where)

    def make(self) -> None:
        cluster = self._cluster
        done = run_in_container(cluster, self.initdb())
        if done.returncode != 0:
            raise PostgresError(
                f"PostgreSQL's data cannot be initialised in {cluster.data_dir} by the container of service "
                f"{self._where.service}: {last_line(done.stderr or done.stdout)}."
            )
        self.adopt()

    def running(self) -> bool:
        """Whether it runs as its Compose file says now; one that was made before the file is started anew."""
        try:
            seen = self._project.show([self._cluster.unit])
        except DockerError as error:
            raise PostgresError(str(error)) from None
        return seen[self._cluster.unit].running and not older_than_definition(seen, {self._cluster.unit: self._unit})

    def enable(self) -> None:
        """The engine starts every container that was not stopped on request."""

    def start(self) -> None:
        self._bring_up()

    def restart(self) -> None:
        self._bring_up()

    def last_words(self) -> str:
        return log_excerpt(self._cluster.unit, self._project.log)

    def _bring_up(self) -> None:
        name = self._cluster.unit
        try:
            # One that runs is made anew: its settings, or its definition, are not what it was started with.
            problem = self._project.up([self._unit], recreate=self._project.show([name])[name].running)
            self._wait(problem)
        except DockerError as error:
            raise PostgresError(str(error)) from None

    def _wait(self, problem: str) -> None:
        name, client = self._cluster.unit, Client(self._cluster)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            state = self._project.show([name])[name]
            refused = client.answers() if state.running else (problem or state.text)
            if refused is None:
                return
            if trouble_of(state) or time.monotonic() > deadline:
                what = f"{client.where} does not start ({name} is {state.text}): {refused}."
                raise PostgresError(what + self.last_words())
            time.sleep(0.2)


def _container(cluster: WantedCluster) -> ClusterContainer:
    if cluster.container is None:
        raise PostgresError(f"The cluster {cluster.name} is to run in a container, and the plan names none.")
    return cluster.container


def _project(where: ClusterContainer) -> Project:
    return Project(where.project, where.folder)

"""How a PostgreSQL cluster is made and run: by Debian's tools and systemd, under supervisord, or in a container."""

from __future__ import annotations

from typing import Protocol

from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import PostgresError, WantedCluster


class Manager(Protocol):
    """What the module needs of a way to run a cluster. Methods raise PostgresError with one sentence."""

    @property
    def config_dir(self) -> str:
        """Folder of the cluster's own postgresql.conf."""

    @property
    def config_path(self) -> str:
        """The settings file of ours, which the cluster's own configuration includes."""

    @property
    def access_path(self) -> str:
        """The cluster's pg_hba file."""

    def configured(self) -> bool:
        """Whether the cluster has its configuration, besides its data."""

    def make(self) -> None:
        """Make the cluster; its data directory is absent or empty."""

    def adopt(self) -> None:
        """Give kept data a configuration again."""

    def drop_partial(self) -> None:
        """Take away the configuration of a cluster whose making was interrupted."""

    def running(self) -> bool:
        """Whether its supervisor runs it."""

    def enabled(self) -> bool:
        """Whether it comes back after a reboot."""

    def enable(self) -> None:
        """Make it come back after a reboot."""

    def start(self) -> None:
        """Start it and wait until it accepts connections."""

    def restart(self) -> None:
        """Restart it and wait until it accepts connections."""

    def last_words(self) -> str:
        """The end of the server's log under a heading, for messages."""


def manager_of(cluster: WantedCluster) -> Manager:
    """The manager that the cluster names. Raises PostgresError for one that there is not."""
    # Imported where it is used: a host pays for the start of each module call.
    if cluster.manager == "debian":
        from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_debian import DebianManager

        return DebianManager(cluster)
    if cluster.manager == "embedded":
        from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_embedded import EmbeddedManager

        return EmbeddedManager(cluster)
    if cluster.manager == "container":
        from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_container import ContainerManager

        return ContainerManager(cluster)
    if cluster.manager == "pod":
        from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod.server import PodManager

        return PodManager(cluster)
    raise PostgresError(f"There is no PostgreSQL manager {cluster.manager}; it is debian, embedded, container or pod.")

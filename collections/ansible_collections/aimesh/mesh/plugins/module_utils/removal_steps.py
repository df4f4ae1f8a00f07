"""The hands of a removal: stop, drop, delete, in an order that an interrupted run can take up again."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils import (
    apt,
    lease,
    removal_docker,
    rollout_record,
    slot_files,
    state_home,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import Manifest, save_manifest
from ansible_collections.aimesh.mesh.plugins.module_utils.no_autostart import restore_policy
from ansible_collections.aimesh.mesh.plugins.module_utils.package_record import (
    NAME,
    PackageRecord,
    accounts,
    save_packages,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import RECORD as POSTGRES_RECORD
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_facts import DebianCluster, Places
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_plan import Removal
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

STOP_TIMEOUT_S = 300.0
GONE_WITH_THE_MESH = (state_home.PLAN_NAME, lease.NAME, rollout_record.NAME)
FOLDERS_GONE_WITH_THE_MESH = ("units", slot_files.FOLDER)
"""What a slot was before a rollout must not come back into a mesh that is deployed anew."""


class Remover:
    """Removes from one host. Records are kept until what they name is gone."""

    def __init__(
        self, places: Places, manifest: Manifest, packages: PackageRecord, cluster: DebianCluster | None
    ) -> None:
        self._places = places
        self._manifest = manifest
        self._packages = packages
        self._cluster = cluster

    def remove(self, removal: Removal, *, purge: bool) -> None:
        """Take away what goes. Raises HostChangeError, OSError."""
        units = removal.names("unit")
        end_loads(self._places.state)
        self._stop(units)
        removal_docker.remove(
            removal.names("container"), removal.names("network"), removal.names("image"), self._places.state
        )
        if removal.names("cluster") and self._cluster is not None:
            drop_cluster(self._cluster)
        for path in removal.names("file", "secrets"):
            Path(path).unlink(missing_ok=True)
        for path in removal.names("release", "logs", "data", "backup"):
            remove_tree(path)
        if removal.names("cluster", "data"):
            # Kept, the record would make the next deploy refuse to begin with an empty database.
            Path(self._places.state, POSTGRES_RECORD).unlink(missing_ok=True)
        if units:
            _systemctl("daemon-reload")
            # A unit that had failed would be listed as such for ever.
            subprocess.run(["systemctl", "reset-failed", *units], capture_output=True, timeout=60, check=False)
        self._remove_packages(removal.names("package"), purge=purge)
        self._remove_directories()
        remove_accounts(removal.names("user"), removal.names("group"))
        if removal.names("state"):
            remove_tree(self._places.state)
            self._remove_directories()
        else:
            self._remember()

    def _stop(self, units: list[str]) -> None:
        if units:
            _systemctl("stop", *reversed(units))
            _systemctl("disable", *units)

    def _remove_packages(self, names: list[str], *, purge: bool) -> None:
        restore_policy()
        if not names:
            return
        apt.configure_pending()
        folders = apt.folders_of(names) if purge else []
        apt.remove(names, purge=purge)
        # Folders in which a package's programs wrote something are left to us by dpkg.
        for folder in sorted(folders, key=lambda path: -len(Path(path).parts)):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        if purge:
            self._packages.added = sorted(set(self._packages.added) - set(names))

    def _remove_directories(self) -> None:
        """Remove the directories that we made and that are empty now, innermost first."""
        for path in sorted(self._manifest.directories, key=lambda name: -len(Path(name).parts)):
            if path != self._places.state:
                with contextlib.suppress(OSError):
                    Path(path).rmdir()

    def _remember(self) -> None:
        """Leave the record of what is kept, and no trace of an applied plan."""
        state = Path(self._places.state)
        for name in GONE_WITH_THE_MESH:
            (state / name).unlink(missing_ok=True)
        for name in FOLDERS_GONE_WITH_THE_MESH:
            remove_tree(str(state / name))
        now = accounts()
        self._manifest.files = {}
        self._manifest.directories = {
            path: keep for path, keep in self._manifest.directories.items() if Path(path).is_dir()
        }
        self._manifest.users = [name for name in self._manifest.users if name in now["users"]]
        self._manifest.groups = [name for name in self._manifest.groups if name in now["groups"]]
        save_manifest(self._places.state, self._manifest)
        if self._packages.added or (state / NAME).exists():
            self._packages.users = [name for name in self._packages.users if name in now["users"]]
            self._packages.groups = [name for name in self._packages.groups if name in now["groups"]]
            save_packages(self._places.state, self._packages)


def end_loads(state: str) -> None:
    """The load of a rollout whose run has died would go on for a while, and nobody is left to ask it for its proof."""
    if not any(Path(state).glob("rollouts/*.load")):
        return
    # Imported where it is used: few removals find one.
    from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.background import kill_all

    kill_all(state)


def drop_cluster(cluster: DebianCluster) -> None:
    """Drop the cluster with its data, configuration and logs; without PostgreSQL's tools by hand."""
    if shutil.which("pg_dropcluster") and Path(cluster.config_dir).is_dir():
        command = ["pg_dropcluster", "--stop", cluster.version, cluster.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=STOP_TIMEOUT_S, check=False)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
            raise HostChangeError(f"`{' '.join(command)}` failed: {said[-1]}")
    for path in (cluster.data_dir, cluster.config_dir):
        remove_tree(path)
        # The folder of the version is nobody's once its last cluster has gone.
        with contextlib.suppress(OSError):
            Path(path).parent.rmdir()
    for log in Path("/var/log/postgresql").glob(f"postgresql-{cluster.version}-{cluster.name}.log*"):
        log.unlink()


def remove_tree(path: str) -> None:
    """Remove a directory with all that is in it; links in it are removed, not followed."""
    if Path(path).is_symlink():
        raise HostChangeError(f"{path} is a symbolic link; what it points to is not removed, so remove the link.")
    if Path(path).is_dir():
        shutil.rmtree(path)


def remove_accounts(users: list[str], groups: list[str]) -> None:
    """Users first: a group that is somebody's primary one cannot go."""
    for name in users:
        if name in accounts()["users"]:
            _account("userdel", name)
    for name in groups:
        if name in accounts()["groups"]:
            _account("groupdel", name)


def _account(command: str, name: str) -> None:
    done = subprocess.run([command, name], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise HostChangeError(f"`{command} {name}` failed: {said[-1]}")


def _systemctl(verb: str, *units: str) -> None:
    try:
        done = subprocess.run(
            ["systemctl", verb, *units], capture_output=True, text=True, timeout=STOP_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise HostChangeError(
            f"systemctl {verb} {' '.join(units)} did not end within {STOP_TIMEOUT_S:g} s; nothing was deleted."
        ) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise HostChangeError(f"systemctl {verb} {' '.join(units)} failed: {said[-1]}")

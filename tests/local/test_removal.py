"""What a local mesh leaves: its data when removal is not confirmed, nothing at all when it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_mesh import SERVICES, LocalMesh, accounts, below, new_mesh

HEALTHY = dict.fromkeys(SERVICES, 200)
SNAPSHOT_DEPTH = 3
NOT_WATCHED = ("/proc", "/sys", "/dev", "/tmp", "/run")


def modes() -> dict[str, tuple[int, int, int]]:
    """Folder → mode, owner and group, for every folder near the root."""
    found = {}
    for top, folders, _ in os.walk("/"):
        if top.rstrip("/").count("/") >= SNAPSHOT_DEPTH:
            folders.clear()
        folders[:] = [name for name in folders if str(Path(top, name)) not in NOT_WATCHED]
        found[top] = mode_of(top)
    return found | {path: mode_of(path) for path in ("/tmp", "/run")}


def mode_of(path: str) -> tuple[int, int, int]:
    seen = Path(path).lstat()
    return stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid


@pytest.fixture
def one() -> Iterator[LocalMesh]:
    with new_mesh("removed") as mesh:
        yield mesh


def test_a_mesh_comes_and_goes_without_a_trace(one: LocalMesh) -> None:
    one.base.parent.chmod(0o751)
    before, folder, people = modes(), mode_of(str(one.base.parent)), accounts()
    deployed = one.deploy()
    assert deployed.code == 0, deployed.output[-4000:]
    during = modes()
    assert {path: during.get(path) for path in before} == before
    assert mode_of(str(one.base.parent)) == folder

    kept = one.destroy(data=False)
    assert kept.code == 0, kept.output[-4000:]
    assert below(one.base) == {}
    assert (one.base / "postgresql" / "PG_VERSION").exists()
    assert (one.base / "state" / "secrets.json").exists()
    assert not (one.base / "config").exists()
    assert not (one.base / "runtime").exists()

    adopted = one.deploy()
    assert adopted.code == 0, adopted.output[-4000:]
    assert one.healthy() == HEALTHY

    gone = one.destroy()
    assert gone.code == 0, gone.output[-4000:]
    assert below(one.base) == {}
    assert not one.base.exists()
    assert accounts() == people
    after = modes()
    assert {path: after.get(path) for path in before} == before
    assert mode_of(str(one.base.parent)) == folder


def test_destroying_what_is_not_there_changes_nothing(one: LocalMesh) -> None:
    outcome = one.destroy()
    assert outcome.code == 0, outcome.output[-4000:]
    assert outcome.changed == []
    assert not one.base.exists()


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(one: LocalMesh) -> None:
    one.base.mkdir(mode=0o755)
    (one.base / "thesis.txt").write_text("mine")
    outcome = one.deploy()
    assert outcome.code != 0
    assert "holds thesis.txt, which is not the mesh's; set mesh_state_dir to a new or empty folder" in outcome.output
    assert not (one.base / "config").exists()
    assert (one.base / "thesis.txt").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's mesh has a user of its own")
def test_a_folder_that_the_meshs_user_cannot_reach_is_refused(one: LocalMesh) -> None:
    one.base.parent.chmod(0o700)
    outcome = one.deploy()
    assert outcome.code != 0
    assert f"because {one.base.parent} is closed to others; set mesh_state_dir to another folder" in outcome.output

"""A deploy that is cut off anywhere is made good by the next one."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import pytest
from local_mesh import SERVICES, LocalMesh, accounts, descendants, new_mesh, wait_for

from tests.testbed import playbook

HEALTHY = dict.fromkeys(SERVICES, 200)


def unpacking(mesh: LocalMesh) -> bool:
    return any(mesh.base.glob("runtime/.partial-*/*"))


def installing(mesh: LocalMesh) -> bool:
    return any(mesh.base.glob("releases/*/venv"))


def making_the_cluster(mesh: LocalMesh) -> bool:
    return (mesh.base / "postgresql").is_dir() and any((mesh.base / "postgresql").iterdir())


def starting_supervisord(mesh: LocalMesh) -> bool:
    return (mesh.base / "logs" / "supervisord.log").exists()


def starting_services(mesh: LocalMesh) -> bool:
    return (mesh.base / "state" / "units" / "aimesh-migrate.json").exists()


POINTS: list[Callable[[LocalMesh], bool]] = [
    unpacking,
    installing,
    making_the_cluster,
    starting_supervisord,
    starting_services,
]


def cut(mesh: LocalMesh, point: Callable[[LocalMesh], bool], how: signal.Signals) -> None:
    """Start a deploy and end it as soon as `point` is reached; SIGKILL takes its workers and modules too."""
    run = mesh.begin_deploy()
    assert wait_for(lambda: point(mesh) or run.poll() is not None, 120)
    assert run.poll() is None, f"the deploy ended before {point.__name__}: {run.stdout and run.stdout.read()[-3000:]}"
    if how is signal.SIGKILL:
        for pid in descendants(run.pid):
            # A module may have come to its own end since the list was made.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        run.communicate(timeout=60)
    else:
        playbook.interrupt(run)
    assert run.returncode != 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_deploy_cut_off_at_five_points_converges_and_is_removed_without_a_trace(how: signal.Signals) -> None:
    people = accounts()
    with new_mesh(how.name.lower()) as mesh:
        for point in POINTS:
            cut(mesh, point, how)
        outcome = mesh.deploy()
        assert outcome.code == 0, outcome.output[-4000:]
        assert mesh.healthy() == HEALTHY
        again = mesh.deploy()
        assert again.code == 0
        assert again.changed == []
        assert not any(mesh.base.glob("runtime/.partial-*"))
        gone = mesh.destroy()
        assert gone.code == 0, gone.output[-4000:]
        assert not mesh.base.exists()
    assert accounts() == people


def test_a_mesh_whose_first_deploy_was_cut_off_can_be_removed_at_once():
    with new_mesh("cut") as mesh:
        cut(mesh, starting_services, signal.SIGINT)
        gone = mesh.destroy()
        assert gone.code == 0, gone.output[-4000:]
        assert not mesh.base.exists()

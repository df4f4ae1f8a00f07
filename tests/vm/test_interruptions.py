"""A deploy that is cut off anywhere is finished by the next one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.testbed import playbook
from tests.testbed.bed import Testbed
from tests.testbed.site import Site

CUTS = [
    ("Host has the packages of its roles", signal.SIGKILL),
    ("Host has the release of the mesh app", signal.SIGINT),
    ("Database cluster has the settings and logins of the plan", signal.SIGKILL),
    ("Units run what the plan says, and are ready", signal.SIGKILL),
]


@pytest.fixture(scope="module")
def fresh(bed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site("small", bed, tmp_path_factory.mktemp("cut"), {"192.0.2.10": bed.start("vm2")})


def cut(site: Site, task: str, how: signal.Signals) -> None:
    """Start a deploy and end it as soon as it is in `task`."""
    run = site.begin_deploy()
    seen = []
    assert run.stdout is not None
    for line in run.stdout:
        seen.append(line)
        if f"TASK [{task}]" in line or f": {task}]" in line:
            break
    else:
        pytest.fail(f"the deploy never came to '{task}':\n{''.join(seen[-30:])}")
    if how is signal.SIGINT:
        playbook.interrupt(run)
    else:
        os.killpg(run.pid, how)
        # A worker of the killed run may still wait for its module, and holds the pipe.
        run.communicate(timeout=180)
    assert run.returncode != 0


def test_a_deploy_that_was_cut_off_at_four_places_converges(fresh: Site) -> None:
    for task, how in CUTS:
        cut(fresh, task, how)
    outcome = fresh.deploy()
    assert outcome.code == 0, outcome.output[-4000:]
    again = fresh.deploy()
    assert again.code == 0
    assert again.changed == []


def test_nothing_half_made_is_left_of_the_runs_that_were_cut_off(fresh: Site, tmp_path: Path) -> None:
    left = fresh.vms[0].run(
        "find /etc/aimesh /opt/aimesh /var/lib/aimesh /etc/systemd/system -name '*.partial' -o -name '.*.tmp*'"
        " -o -name '.ansible*'"
    )
    assert left == ""
    assert fresh.vms[0].run("ls /usr/sbin/policy-rc.d 2>/dev/null", check=False) == ""

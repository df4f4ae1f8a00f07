"""`make deploy` on a bare Debian with Python, git and make, and nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.front_door import ROOT, assert_everything_proven, make
from tests.testbed import IMAGES, Testbed

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(params=["debian-13", "debian-12"])
def bare(request) -> Iterator[str]:
    """A container of the system with Python, git and make; its name."""
    name = f"aimesh-bare-{request.param}"
    with Testbed(f"bare-{request.param}"):
        image = IMAGES[request.param].ensure()
        trust = ["-v", f"{CERTIFICATES}:/etc/aimesh-test/ca.crt:ro", "-e", "PIP_CERT=/etc/aimesh-test/ca.crt"]
        source = ["-v", f"{ROOT}:/source:ro"]
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
        command = ["docker", "run", "-d", "--init", "--name", name, *trust, *source, image, "sleep", "3600"]
        subprocess.run(command, check=True, capture_output=True)
        try:
            inside(name, "apt-get update -qq && apt-get install -y -qq --no-install-recommends git make python3")
            inside(name, "git config --global --add safe.directory '*' && git clone -q file:///source /root/aimesh")
            yield name
        finally:
            subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True, capture_output=True)


def inside(name: str, script: str) -> str:
    done = subprocess.run(["docker", "exec", name, "sh", "-c", script], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_make_deploy_works_on_a_bare_debian_and_changes_nothing_the_second_time(bare):
    prefix, folder = ["docker", "exec", bare], Path("/root/aimesh")
    print(inside(bare, "python3 --version; ! python3 -c 'import ensurepip'").strip())
    make(prefix, folder, "deploy").assert_ok()
    assert_everything_proven(json.loads(inside(bare, "cat /root/aimesh/build/local/report.json")))
    again = make(prefix, folder, "deploy")
    again.assert_ok()
    assert "changed=0" in again.recap
    make(prefix, folder, "destroy").assert_ok()
    inside(bare, "! test -e /var/lib/aimesh-local")

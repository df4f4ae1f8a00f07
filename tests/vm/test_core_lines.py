"""The other line of ansible-core: the unit tests on the Python that this controller does not have."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import wheelhouse
from monitoring_tools import TEMPLATES

from tests.testbed import IMAGES, Testbed

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
# (system, its Python tag, the line of ansible-core that the lock gives it)
OLDER = ("debian-12", "cp311-x86_64", "2.19")
CURRENT = ("debian-13", "cp313-x86_64", "2.21")
SCRIPT = """
set -e
python3 -m venv --without-pip /venv
/venv/bin/python "$(ls /source/third_party/pip-*.whl)/pip" install -q --root-user-action=ignore \
    --no-index --find-links /wheels -r /wheels/requirements.txt
/venv/bin/ansible --version | head -n 1
cd /source
/venv/bin/python -m pytest -q tests/unit --ignore=tests/unit/tools $LEFT
"""
LEFT = (
    "tests/unit/drill",
    "tests/unit/kubernetes/test_backups.py",
    "tests/unit/kubernetes/test_drill_schemas.py",
    "tests/unit/kubernetes/test_load_schemas.py",
    "tests/unit/kubernetes/test_schemas.py",
    "tests/unit/kubernetes/test_verification_job.py",
    "tests/unit/monitoring/test_dashboards.py",
    "tests/unit/monitoring/test_dashboards_live.py",
    "tests/unit/monitoring/test_rules.py",
    "tests/unit/restore_drill/test_dump_proof.py",
    "tests/unit/verification/test_monitoring_probe.py",
)
"""Long, or about Prometheus, Grafana and Kubernetes rather than Python, or in need of `age`, which a VM gets from
a deploy; VMs run the same code under their own Python."""


@pytest.fixture(scope="module")
def other_line() -> tuple[str, str, str]:
    return OLDER if sys.version_info >= (3, 12) else CURRENT


@pytest.fixture(scope="module")
def wheels(other_line) -> Path:
    """Wheels of the lock for the other Python, fetched once per lock."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = ROOT / ".cache" / "wheelhouse" / f"{other_line[1]}-{digest}"
    complete = folder / ".complete"
    if not complete.exists():
        wheelhouse.download_wheels(LOCK, other_line[1], folder)
        complete.touch()
    return folder


@pytest.mark.hostless
def test_unit_tests_pass_on_the_other_line_of_ansible_core(other_line, wheels):
    system, _, line = other_line
    with Testbed("core-lines"):
        image = IMAGES[system].ensure()
        # Alertmanager looks for its templates at one path alone, which no test may write in there.
        mounts = [
            f"--volume={source}:{target}:ro"
            for source, target in ((ROOT, "/source"), (wheels, "/wheels"), (TEMPLATES, TEMPLATES))
        ]
        # Without a network, Docker takes ::1 away from the loopback interface, too.
        loopback = ["--network", "none", "--sysctl", "net.ipv6.conf.all.disable_ipv6=0"]
        command = ["docker", "run", "--rm", "--init", *loopback, "-e", "PYTHONDONTWRITEBYTECODE=1", *mounts]
        command += ["-e", f"LEFT={' '.join(f'--ignore={path}' for path in LEFT)}"]
        done = subprocess.run(
            [*command, image, "sh", "-c", SCRIPT], text=True, capture_output=True, timeout=1200, check=False
        )
    assert f"[core {line}" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

"""No secret is where a neighbour on the host could read it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable

import pytest

from tests.testbed import playbook
from tests.testbed.paths import REPOSITORY
from tests.testbed.site import Site


@pytest.fixture(scope="session")
def secrets(small: Site) -> dict[str, str]:
    """Every secret's value, decrypted as ansible does."""
    code = (
        "import json, sys; from ansible.parsing.dataloader import DataLoader;"
        "from ansible.cli import CLI; loader = DataLoader();"
        "CLI.setup_vault_secrets(loader, vault_ids=[], vault_password_files=[sys.argv[2]], auto_prompt=False);"
        "print(json.dumps(loader.load_from_file(sys.argv[1]), default=str))"
    )
    password = small.env["ANSIBLE_VAULT_PASSWORD_FILE"]
    done = subprocess.run(
        [sys.executable, "-c", code, str(small.inventory / "secrets.yml"), password],
        env=playbook.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return flat(json.loads(done.stdout))


def flat(document: object, name: str = "") -> dict[str, str]:
    if isinstance(document, dict):
        return {key: text for part, value in document.items() for key, text in flat(value, f"{name}.{part}").items()}
    if isinstance(document, list):
        return {key: text for i, value in enumerate(document) for key, text in flat(value, f"{name}.{i}").items()}
    # Versions and dates are no secrets.
    return {name: document} if isinstance(document, str) and len(document) >= 32 else {}


# Reads the canaries from standard input, so that looking for them does not put them where it looks.
SEARCH = """
import glob, subprocess, sys
canaries = sys.stdin.read().split()
places = {path: open(path, 'rb').read() for path in
          glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/environ')}
units = subprocess.run(['systemctl', 'list-units', '--plain', '--no-legend'], capture_output=True, text=True).stdout
for unit in (line.split()[0] for line in units.splitlines() if 'aimesh' in line or 'postgresql' in line):
    places['show ' + unit] = subprocess.run(['systemctl', 'show', unit], capture_output=True).stdout
places['journal'] = subprocess.run(['journalctl', '--no-pager', '-o', 'export'], capture_output=True).stdout
for place, content in places.items():
    for number, canary in enumerate(canaries):
        if canary.encode() in content:
            print(place, number)
print('looked at', len(places))
"""


def test_no_secret_is_in_a_command_line_an_environment_a_unit_or_the_journal(
    small: Site, secrets: dict[str, str]
) -> None:
    assert len(secrets) >= 9
    assert search(small, secrets.values()) == []


def test_the_search_finds_a_canary_that_is_there(small: Site) -> None:
    """Negative control."""
    canary = "canary-0123456789-0123456789-0123456789"
    small.vms[0].run(f"logger {canary}; journalctl --flush")
    assert search(small, [canary]) == ["journal 0"]


def search(site: Site, canaries: Iterable[str]) -> list[str]:
    done = subprocess.run(
        ["docker", "exec", "-i", site.vms[0].container, "python3", "-I", "-c", SEARCH],
        input="\n".join(canaries), capture_output=True, text=True, check=True,
    )  # fmt: skip
    *found, last = done.stdout.splitlines()
    assert int(last.split()[-1]) > 20
    return found


def test_no_secret_is_in_the_build_folder_or_a_verbose_run(small: Site, secrets: dict[str, str]) -> None:
    outcome = small.deploy("-vvv", "--diff")
    texts = {"output": outcome.output}
    left = (path for path in (REPOSITORY / "build/small").rglob("*") if path.is_file())
    texts |= {str(path): path.read_text(errors="replace") for path in left}
    assert [(place, name) for place, text in texts.items() for name, value in secrets.items() if value in text] == []


def test_credentials_belong_to_root_and_are_for_nobody_else(small: Site) -> None:
    listing = small.vms[0].run("stat -c '%a %U %n' /etc/aimesh/credentials /etc/aimesh/credentials/*").splitlines()
    assert listing[0].startswith("700 root ")
    assert len(listing) > 5
    assert all(line.startswith("600 root ") for line in listing[1:]), listing

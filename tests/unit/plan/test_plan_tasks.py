"""The tasks aimesh.mesh.secrets and aimesh.mesh.plan under the real ansible-playbook and the product's ansible.cfg."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import IDENTITY, PASSPHRASE
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import BETWEEN_HOSTS, SECRETS
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store import FINGERPRINT_KEY, SECRET_NAMES

from tests.unit.plan.sites import BASELINE, LOCAL, TWO_HOSTS, with_lines

ROOT = Path(__file__).parents[3]
MONITORING = (*SECRETS, *BETWEEN_HOSTS)
PLAYBOOK = """\
- hosts: mesh
  gather_facts: false
  tasks:
    - aimesh.mesh.secrets:
      run_once: true
    - aimesh.mesh.plan: OPTIONS
      run_once: true
      register: _plan
    - ansible.builtin.copy:
        content: "{{ _plan | to_json }}"
        dest: "{{ playbook_dir }}/result.json"
        mode: "0644"
      delegate_to: localhost
      run_once: true
      check_mode: false
      changed_when: false
"""


@dataclass
class Run:
    code: int
    output: str
    result: dict[str, Any]


@dataclass
class Site:
    """A checkout in miniature: configuration, collections, a release, an inventory and a playbook."""

    root: Path

    @property
    def inventory(self) -> Path:
        return self.root / "inventories" / "acme"

    @property
    def plan(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(
            next((self.root / "build").glob("*/plan.json")).read_text(encoding="utf-8")
        )
        return document

    def write(self, text: str) -> None:
        (self.inventory / "hosts.yml").write_text(text, encoding="utf-8")

    def play(self, *arguments: str, password: bool = True, playbook: str = "playbooks/plan.yml") -> Run:
        command = [sys.executable, "-m", "ansible", "playbook", playbook, "-i", "inventories/acme", *arguments]
        if password:
            command += ["--vault-password-file", "password"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        done = subprocess.run(
            command,
            cwd=self.root,
            env=environment | {"ANSIBLE_HOME": str(self.root / ".ansible"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        result = self.root / "playbooks" / "result.json"
        return Run(
            done.returncode,
            done.stdout + done.stderr,
            json.loads(result.read_text(encoding="utf-8")) if result.is_file() else {},
        )


def playbook(options: str = "") -> str:
    return PLAYBOOK.replace("OPTIONS", options)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    shutil.copy(ROOT / "ansible.cfg", tmp_path / "ansible.cfg")
    (tmp_path / "collections").symlink_to(ROOT / "collections")
    release = tmp_path / "dist" / "1.0.0+0123abcd"
    release.mkdir(parents=True)
    (release / "release.json").write_text("{}", encoding="utf-8")
    made.inventory.mkdir(parents=True)
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "plan.yml").write_text(playbook(), encoding="utf-8")
    (tmp_path / "password").write_text("a password\n", encoding="utf-8")
    made.write(BASELINE)
    return made


def test_check_mode_on_a_new_site_writes_the_plan_and_generates_nothing(site: Site) -> None:
    run = site.play("--check")
    assert run.code == 0, run.output
    assert not (site.inventory / "secrets.yml").exists()
    assert {reference["fingerprint"] for reference in site.plan["secrets"].values()} == {None}
    path = site.root / "build" / "acme" / "plan.json"
    assert run.result["plan_path"] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run.result["changed"] is False
    assert "changed=1" in run.output, "the secrets task predicts that it would generate"


def test_a_run_that_picks_tags_is_refused_before_anything_happens(site: Site) -> None:
    path = site.root / "playbooks" / "plan.yml"
    path.write_text(playbook().replace("  gather_facts", "  tags: [always]\n  gather_facts"), encoding="utf-8")
    run = site.play("--tags", "registry")
    assert run.code != 0
    assert "--tags registry picks nothing: the plays are run whole; leave --tags out." in run.output
    assert not (site.inventory / "secrets.yml").exists()


@pytest.mark.parametrize("verb", ["deploy", "destroy", "preflight", "status", "verify"])
def test_the_first_play_of_every_verb_is_there_to_refuse_tags(verb: str) -> None:
    first = yaml.safe_load((ROOT / "playbooks" / f"{verb}.yml").read_text(encoding="utf-8"))[0]
    assert first["tags"] == ["always"]


def test_secrets_are_generated_once_and_the_plan_stays_the_same(site: Site) -> None:
    first = site.play("-vvv", "--diff")
    assert first.code == 0, first.output
    assert "changed=1" in first.output
    again = site.play()
    assert "changed=0" in again.output
    assert "WARNING" not in again.output, "secrets.yml beside the inventory is not read as an inventory"
    assert first.result["digest"] == again.result["digest"] == site.plan["digest"]
    assert {
        key: first.result[key] for key in ("platform", "mesh_name", "state_host", "state_path", "release", "hosts")
    } == {
        "platform": "systemd",
        "mesh_name": "acme",
        "state_host": "vm1",
        "state_path": "/var/lib/aimesh",
        "release": "1.0.0+0123abcd",
        "hosts": ["vm1"],
    }
    assert first.result["urls"] == {"api-gateway": "http://192.0.2.10:3000", "ui": "http://192.0.2.10:3005"}
    kept = subprocess.run(
        [
            sys.executable,
            "-m",
            "ansible",
            "vault",
            "view",
            "inventories/acme/secrets.yml",
            "--vault-password-file=password",
        ],
        cwd=site.root,
        capture_output=True,
        text=True,
        check=True,
    )
    values = [line.split('"')[1] for line in kept.stdout.splitlines() if '"' in line]
    assert len(values) == len((*SECRET_NAMES, *MONITORING, IDENTITY, PASSPHRASE)) + 1
    written = first.output + again.output + json.dumps(site.plan)
    assert not [value for value in values if value in written]


def test_limit_leaves_the_plan_whole(site: Site) -> None:
    site.write(TWO_HOSTS)
    limited = site.play("--limit", "node2")
    assert limited.code == 0, limited.output
    assert limited.result["hosts"] == list(site.plan["hosts"]) == ["node1", "node2"]
    assert len(site.plan["endpoints"]) == 6


def test_a_bad_inventory_gives_every_sentence_and_changes_nothing(site: Site) -> None:
    site.write(with_lines(BASELINE, 'mesh_size: huge\nmesh_version: 1.10\nmesh_domain: "{{ nobody }}"'))
    run = site.play()
    assert run.code != 0
    for sentence in (
        "inventories/acme has 3 problems, and nothing was changed:",
        "mesh_size (inventories/acme/hosts.yml:7) is 'huge'; allowed: local, small, medium, enterprise; ",
        "mesh_version (inventories/acme/hosts.yml:9) is 1.10, which YAML reads as a number; put it in quotes: ",
        "mesh_domain (inventories/acme/hosts.yml:10) uses the undefined variable 'nobody' in its template; ",
    ):
        assert sentence in run.output
    assert "Traceback" not in run.output
    assert not (site.root / "build").exists()
    assert not (site.inventory / "secrets.yml").exists()


def test_without_a_vault_password_one_error_names_every_missing_secret(site: Site) -> None:
    run = site.play(password=False)
    assert run.code != 0
    names = ", ".join((FINGERPRINT_KEY, *SECRET_NAMES, *MONITORING, IDENTITY, PASSPHRASE))
    assert (
        f"The secret store {site.inventory}/secrets.yml lacks {names}, and nothing can "
        "be kept in it: no vault password was given; pass one with --vault-password-file FILE, --ask-vault-pass or "
        "ANSIBLE_VAULT_PASSWORD_FILE."
    ) in run.output
    assert "Traceback" not in run.output


def test_a_missing_release_is_an_error_and_a_removal_does_without(site: Site) -> None:
    shutil.rmtree(site.root / "dist")
    run = site.play()
    assert run.code != 0
    assert f"There is no release folder {site.root}/dist; build one with: make release." in run.output
    text = playbook("{for_removal: true}").replace("    - aimesh.mesh.secrets:\n      run_once: true\n", "")
    (site.root / "playbooks" / "plan.yml").write_text(text, encoding="utf-8")
    removal = site.play(password=False)
    assert removal.code == 0, removal.output
    assert removal.result["release"] == "0.0.0+00000000"


def test_a_local_mesh_remembers_what_it_runs(site: Site) -> None:
    site.write(with_lines(LOCAL, f"mesh_state_dir: {site.root}/mesh"))
    (site.root / "dist" / "1.1.0+0123abcd").mkdir()
    (site.root / "dist" / "1.1.0+0123abcd" / "release.json").write_text("{}", encoding="utf-8")
    higher = site.play("-e", "mesh_target_version=1.1.0", password=False)
    assert higher.code == 0, higher.output
    assert stat.S_IMODE((site.root / "mesh" / "state" / "secrets.json").stat().st_mode) == 0o600
    shutil.copy(site.root / "build" / "local" / "plan.json", site.root / "mesh" / "state" / "applied-plan.json")
    lower = site.play(password=False)
    assert lower.code != 0
    assert 'is 1.0.0 and the mesh runs 1.1.0; add to the inventory: mesh_version: "1.1.0"' in lower.output
    accepted = site.play("-e", "mesh_accept_inventory=true", password=False)
    assert accepted.code == 0, accepted.output
    assert accepted.result["release"] == "1.0.0+0123abcd"


def test_an_unknown_option_is_refused(site: Site) -> None:
    (site.root / "playbooks" / "plan.yml").write_text(playbook("{builddir: x}"), encoding="utf-8")
    run = site.play()
    assert run.code != 0
    assert "Unknown option builddir; this task takes applied_plan, build_dir, for_removal, rollback." in run.output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            BASELINE.replace("  vars:", "    vm1:\n      ansible_host: 192.0.2.11\n  vars:"),
            "Found duplicate mapping key 'vm1'.",
        ),
        ("mesh:\n  hosts:\n   - vm1: {\n", "YAML parsing failed"),
    ],
    ids=["host_written_twice", "not_yaml"],
)
def test_an_inventory_that_cannot_be_read_stops_the_run(text: str, reason: str, site: Site) -> None:
    site.write(text)
    run = site.play()
    assert run.code != 0
    assert reason in run.output
    assert "No inventory was parsed" in run.output


def test_every_playbook_plans_on_all_hosts_so_that_a_missing_group_mesh_is_an_error() -> None:
    planning = [play for path in sorted((ROOT / "playbooks").glob("*.yml")) for play in plays_that_plan(path)]
    assert len(planning) >= 5
    assert {play["hosts"] for play in planning} == {"all"}


def plays_that_plan(path: Path) -> list[dict[str, Any]]:
    plays: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [play for play in plays if any("aimesh.mesh.plan" in task for task in play.get("tasks", []))]

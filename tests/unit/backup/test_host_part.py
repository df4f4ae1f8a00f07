"""What a data host gets for backups, on both platforms."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import parse_spec
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup import layout, program_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File, HostState
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import SecretState
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import driver_of

from tests.unit.plan.sites import BASELINE, COMPOSE, plan_of, with_lines

ENGINE = "mesh_backup: {engine: pgbackrest}"
SITES = {"systemd": BASELINE, "compose": COMPOSE}


@pytest.fixture(params=list(SITES))
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> Plan:
    return plan_of(tmp_path, with_lines(SITES[request.param], ENGINE))


def rendered(plan: Plan) -> HostState:
    state: HostState = driver_of(plan).render(plan, plan["postgresql"]["host"])
    return state


def files_of(plan: Plan) -> dict[str, File]:
    return {file.path: file for file in rendered(plan).files}


def test_the_program_understands_what_it_is_told(plan: Plan) -> None:
    text = files_of(plan)[layout.specification(plan)].text
    spec = parse_spec(json.loads(text or ""))
    assert (spec.engine, spec.data_dir) == ("pgbackrest", plan["postgresql"]["data_dir"])
    assert spec.local_repositories == (1,)


def test_a_host_with_a_crontab_line_has_a_cron_daemon(plan: Plan, tmp_path: Path) -> None:
    assert "cron" in rendered(plan).packages
    # Negative control: where nothing makes backups, nothing is installed for them.
    for number, site in enumerate(SITES.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        without = plan_of(folder, with_lines(site, "mesh_backup: {engine: none}"))
        assert "cron" not in rendered(without).packages


def test_the_configuration_archive_leaves_the_data_out(plan: Plan) -> None:
    spec = parse_spec(json.loads(files_of(plan)[layout.specification(plan)].text or ""))
    data = (plan["postgresql"]["data_dir"], plan["redis"]["data_dir"], plan["backup"]["root"])
    assert [path for path in spec.configuration.paths if any(each.startswith(path) for each in data)] == []


def test_passphrase_and_keys_stand_in_one_file_that_postgresql_s_account_alone_reads(tmp_path: Path) -> None:
    s3 = "mesh_backup: {engine: pgbackrest, s3: {endpoint: s3.acme.example, bucket: acme-mesh}}"
    names = ("backup_s3_key", "backup_s3_secret")
    for site, mode in ((BASELINE, "0640"), (COMPOSE, "0400")):
        plan = plan_of(
            tmp_path, with_lines(site, s3), secrets=dict.fromkeys(names, SecretState(1, "f" * 16, exists=True))
        )
        holders = {path: file for path, file in files_of(plan).items() if "backup_passphrase" in file.secrets}
        assert set(holders) == {layout.pgbackrest_conf(plan)}
        assert holders[layout.pgbackrest_conf(plan)].mode == mode
        text = holders[layout.pgbackrest_conf(plan)].inline or ""
        assert "repo2-type=s3" in text
        assert "archive-push-queue-max" not in text
        assert "verify-tls" not in text


def test_no_host_gets_the_identity(plan: Plan) -> None:
    users = {path: file for path, file in files_of(plan).items() if "backup_identity" in file.secrets}
    assert {path: file.inline for path, file in users.items()} == {
        layout.recipients(plan): "{{ secrets.backup_identity | recipient }}\n"
    }


def test_every_timer_has_a_unit_that_runs_the_program(plan: Plan) -> None:
    files, backup = files_of(plan), rendered(plan).postgresql
    assert backup is not None
    assert backup.backup is not None
    assert set(backup.backup.timers) == {layout.timer(kind) for kind in plan["backup"]["timers"]}
    for kind in plan["backup"]["timers"]:
        unit = layout.timer(kind).removesuffix(".timer")
        assert f"ExecStart={layout.PROGRAM} {kind}\n" in (files[f"/etc/systemd/system/{unit}.service"].text or "")
        assert "Persistent=true" in (files[f"/etc/systemd/system/{unit}.timer"].text or "")


def test_the_playbook_s_own_line_is_there(plan: Plan) -> None:
    files = files_of(plan)
    assert "0 2 * * * root /usr/local/bin/backup-db.sh\n" in (files["/etc/cron.d/aimesh-backup"].text or "")
    assert files["/usr/local/bin/backup-db.sh"].mode == "0755"


def test_without_an_engine_a_host_has_nothing_of_it(tmp_path: Path) -> None:
    for site in SITES.values():
        state = rendered(plan_of(tmp_path, with_lines(site, "mesh_backup: {engine: none}")))
        assert state.postgresql is not None
        assert state.postgresql.backup is None
        assert [file.path for file in state.files if "backup" in file.path] == []
        assert [folder.path for folder in state.directories if "backup" in folder.path] == []


def test_the_program_runs_from_the_files_that_are_rendered(plan: Plan, tmp_path: Path) -> None:
    root = tmp_path / "host"
    for file in program_files.program_files():
        path = Path(f"{root}{file.path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((file.text or "").replace(layout.LIBRARY, f"{root}{layout.LIBRARY}"))
    done = subprocess.run(
        [sys.executable, "-IB", f"{root}{layout.PROGRAM}", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "incremental" in done.stdout


def test_every_import_of_the_program_is_of_its_own_files_or_the_standard_library() -> None:
    foreign = {
        name
        for source in program_files.sources()
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
        if name.partition(".")[0] not in (*sys.stdlib_module_names, "ansible_collections")
    }
    assert foreign == set()

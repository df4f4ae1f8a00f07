from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.history import Run, record_run
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import FileRecord, Manifest
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_plan import (
    Confirmed,
    Found,
    decide,
    empty_after,
    listing,
)
from ansible_collections.aimesh.mesh.plugins.modules.removal import schedule_of
from module_runner import run_module

CONFIRMED = {"remove_data": "acme", "remove_backups": "acme"}


def found() -> Found:
    return Found(
        units=["aimesh-registry@a.service"],
        cluster={"17/mesh in /var/lib/postgresql/17/mesh": 40_000_000},
        files={"/etc/aimesh/a": 10, "/etc/aimesh/b": 20},
        installed=["haproxy"],
        configured=["redis-server"],
        data={"/var/lib/redis-mesh": 5},
        backups={"/var/backups/aimesh": 7},
        secrets={"/var/lib/aimesh/secrets.json": 3},
        children={"/etc/aimesh": ["/etc/aimesh/a", "/etc/aimesh/b"], "/srv/x": ["/srv/x/of-others"]},
        users=["aimesh", "aimesh-data"],
        owners={"user aimesh-data"},
        package_users=["redis"],
        state={"/var/lib/aimesh": 9},
    )


def kinds(confirmed: Confirmed) -> tuple[set[str], set[str]]:
    removal = decide(found(), confirmed, "acme")
    return {item.kind for item in removal.goes}, {item.kind for item in removal.kept}


def test_without_confirmation_data_backups_secrets_and_their_record_stay() -> None:
    goes, kept = kinds(Confirmed())
    assert goes == {"unit", "file", "package", "user", "directory"}
    assert kept == {"cluster", "data", "backup", "secrets", "user", "state"}


def test_confirmed_data_goes_and_backups_still_stay() -> None:
    goes, kept = kinds(Confirmed(data=True))
    assert {"cluster", "data"} <= goes
    assert kept == {"backup", "secrets", "state"}


def test_with_both_confirmations_everything_goes() -> None:
    assert kinds(Confirmed(data=True, backups=True))[1] == set()


def test_a_user_that_owns_kept_data_stays_and_what_packages_brought_goes_last() -> None:
    assert decide(found(), Confirmed(), "acme").names("user") == ["aimesh"]
    assert decide(found(), Confirmed(data=True), "acme").names("user") == ["aimesh", "aimesh-data", "redis"]


def test_packages_that_anothers_database_needs_stay_with_the_record_of_them() -> None:
    host = found()
    host.packages_stay = "another PostgreSQL cluster needs them: 17/main"
    removal = decide(host, Confirmed(data=True, backups=True), "acme")
    assert removal.names("package") == []
    assert {item.kind for item in removal.kept} == {"package", "state"}


def test_a_directory_with_something_of_others_stays() -> None:
    assert decide(found(), Confirmed(), "acme").names("directory") == ["/etc/aimesh"]


def test_directories_are_emptied_from_the_inside() -> None:
    children = {"/a": ["/a/b"], "/a/b": ["/a/b/c"], "/a/b/c": ["/a/b/c/file"]}
    assert empty_after(children, ["/a/b/c/file"]) == ["/a/b/c", "/a/b", "/a"]
    assert empty_after(children, []) == []


def test_the_listing_names_data_by_path_and_size_and_says_how_to_remove_it() -> None:
    lines = listing(decide(found(), Confirmed(), "acme"), "")
    assert "goes: 2 files, 30 B" in lines
    assert (
        "stays: database cluster 17/mesh in /var/lib/postgresql/17/mesh, 40.0 MB "
        "(remove it with mesh_remove_data: acme)" in lines
    )
    assert lines[-1] == "last good backup: none is recorded"


def deploy(root: Path) -> None:
    """Files, a data directory, logs and a release, as the other modules leave them."""
    files = [
        {"path": str(root / "config/app.env"), "content": "x\n"},
        {"path": str(root / "config/credentials/db"), "secret_content": "czNjcmV0LXZhbHVl", "sensitive": True},
    ]
    directories = [{"path": str(root / name)} for name in ("config", "logs", "run", "releases")]
    data = {"path": str(root / "data"), "mode": "0700", "keep": True}
    args = {"state_dir": str(root / "state"), "files": files, "directories": [*directories, data]}
    run_module("files", args)
    (root / "data/rows").write_text("data " * 100)
    (root / "logs/registry.log").write_text("log\n")
    (root / "releases/1.0.0+0123abcd/venv").mkdir(parents=True)
    (root / "state/units").mkdir(exist_ok=True)
    (root / "state/applied-plan.json").write_text("{}")
    (root / "state/secrets.json").write_text("{}")


def arguments(root: Path, **changes: Any) -> dict[str, Any]:
    return {
        "state_dir": str(root / "state"),
        "mesh_name": "acme",
        "releases": str(root / "releases"),
        "volatile": [str(root / "logs"), str(root / "run")],
        "secret_store": str(root / "state/secrets.json"),
    } | changes


@pytest.fixture
def host(tmp_path: Path) -> Path:
    root = tmp_path / "host"
    deploy(root)
    return root


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_planning_and_checking_a_removal_touch_nothing(host: Path) -> None:
    before = tree(host)
    planned = run_module("removal", arguments(host, plan_only=True))
    predicted = run_module("removal", arguments(host), check=True, diff=True)
    assert (planned["changed"], predicted["changed"]) == (False, True)
    assert planned["goes"] == predicted["goes"]
    assert f"file {host}/config/app.env" in predicted["diff"]["before"]
    assert tree(host) == before


def test_a_removal_without_confirmation_keeps_data_and_secrets_and_is_done_once(host: Path) -> None:
    done = run_module("removal", arguments(host))
    assert done["changed"]
    assert [path for path in tree(host) if not path.startswith("state")] == ["data", "data/rows"]
    assert tree(host / "state") == ["files.json", "host.lock", "secrets.json"]
    assert not run_module("removal", arguments(host))["changed"]


def test_a_deploy_after_it_adopts_the_data_and_a_confirmed_removal_then_takes_it(host: Path) -> None:
    run_module("removal", arguments(host))
    deploy(host)
    assert json.loads((host / "state/files.json").read_text())["directories"][str(host / "data")] is True
    done = run_module("removal", arguments(host, **CONFIRMED))
    assert done["kept"] == []
    assert not host.exists()
    again = run_module("removal", arguments(host, **CONFIRMED))
    assert not again["changed"]
    assert not host.exists(), "a removal of nothing left its own state directory behind"


def test_what_a_rollout_left_unfinished_does_not_outlive_the_mesh_and_its_dump_is_a_backup(host: Path) -> None:
    points = host / "state/backup-points"
    for path in (host / "state/rollout.json", host / "state/slots/aimesh-registry@a/saved.json", points / "a.dump"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    done = run_module("removal", arguments(host, backups=[str(points)]))
    assert {"kind": "backup", "name": str(points)}.items() <= next(
        item for item in done["kept"] if item["kind"] == "backup"
    ).items()
    assert tree(host / "state") == ["backup-points", "backup-points/a.dump", "files.json", "host.lock", "secrets.json"]
    run_module("removal", arguments(host, backups=[str(points)], **CONFIRMED))
    assert not host.exists()


def test_confirmed_data_goes_without_the_secret_store(host: Path) -> None:
    done = run_module("removal", arguments(host, remove_data="acme"))
    assert [item["kind"] for item in done["kept"]] == ["secrets", "state"]
    assert not (host / "data").exists()
    assert (host / "state/secrets.json").exists()


def test_what_somebody_else_put_beside_ours_stays(host: Path) -> None:
    note = host / "config/operator-note"
    note.write_text("mine\n")
    run_module("removal", arguments(host, **CONFIRMED))
    assert tree(host) == ["config", "config/operator-note"]


def test_a_directory_that_was_there_before_keeps_what_others_put_there(tmp_path: Path) -> None:
    root = tmp_path / "host"
    (root / "logs").mkdir(parents=True)
    (root / "logs/of-others.log").write_text("theirs\n")
    deploy(root)
    run_module("removal", arguments(root, **CONFIRMED))
    assert "logs/of-others.log" in tree(root)


def test_a_link_in_place_of_a_data_directory_is_not_followed(host: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep\n")
    (host / "data/rows").unlink()
    (host / "data").rmdir()
    (host / "data").symlink_to(precious)
    run_module("removal", arguments(host, **CONFIRMED))
    assert (precious / "file").read_text() == "keep\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            {"remove_data": "prod"},
            "mesh_remove_data is 'prod' and this mesh is 'acme'; type the name of the mesh to confirm its removal.",
        ),
        (
            {"remove_data": "acme", "remove_backups": "yes"},
            "mesh_remove_backups is 'yes' and this mesh is 'acme'; type the name of the mesh to confirm its removal.",
        ),
        (
            {"remove_backups": "acme"},
            "mesh_remove_backups is set without mesh_remove_data; set mesh_remove_data: acme too, or neither.",
        ),
    ],
)
def test_a_wrong_confirmation_stops_before_anything_goes(host: Path, words: dict[str, str], sentence: str) -> None:
    before = tree(host)
    refused = run_module("removal", arguments(host, **words))
    assert refused["msg"] == sentence
    assert [path for path in tree(host) if path != "state/host.lock"] == [
        path for path in before if path != "state/host.lock"
    ]


def test_units_of_a_mesh_under_systemd_stay_when_a_mesh_of_processes_goes(host: Path, tmp_path: Path) -> None:
    """Both call their units the same; a recorder in place of systemctl shows who is asked and stopped."""
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\necho LoadState=loaded\necho ActiveState=active\n')
    program.chmod(0o755)
    (host / "state/units/aimesh-registry@a.json").write_text("{}")
    path = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    local = run_module("removal", arguments(host, systemd=False, plan_only=True), env=path)
    assert not (tmp_path / "calls").exists()
    assert "unit" not in {item["kind"] for item in local["goes"]}
    run_module("removal", arguments(host), env=path)
    assert "stop aimesh-registry@a.service" in (tmp_path / "calls").read_text().splitlines()


def test_a_removal_that_was_killed_half_way_is_finished_by_the_next_one(host: Path) -> None:
    (host / "config/app.env").unlink()
    (host / "state/applied-plan.json").unlink()
    run_module("removal", arguments(host, **CONFIRMED))
    assert not host.exists()


@pytest.fixture
def backed(host: Path) -> Path:
    """The host with backups: folders that are kept, and a success on record."""
    folders = [{"path": str(host / name), "keep": True} for name in ("backup", "backup/repository")]
    run_module("files", {"state_dir": str(host / "state"), "directories": folders})
    (host / "backup/repository/full").write_text("backup " * 10)
    record_run(str(host / "state"), Run("full", 1_795_867_100.0, 1_795_867_200.0, True, "Made."))
    return host


def test_data_go_and_backups_stay_unless_both_are_confirmed(backed: Path) -> None:
    wanted = arguments(backed, backups=[str(backed / "backup")])
    told = run_module("removal", wanted | {"remove_data": "acme"})
    assert "last good backup: 2026-11-28 12:00:00 UTC" in told["listing"]
    assert any(line.startswith(f"stays: backups {backed / 'backup'}, ") for line in told["listing"])
    assert not (backed / "data").exists()
    assert (backed / "backup/repository/full").is_file()
    run_module("removal", wanted | {"remove_data": "acme", "remove_backups": "acme"})
    assert not (backed / "backup").exists()


def test_timers_of_backups_are_among_the_units_and_come_last() -> None:
    names = ("aimesh-backup-full.timer", "aimesh-backup-full.service", "aimesh-ui@a.service")
    record = FileRecord("root", "root", "0644")
    manifest = Manifest(files={f"/etc/systemd/system/{name}": record for name in names})
    assert schedule_of(manifest) == ["aimesh-backup-full.service", "aimesh-backup-full.timer"]

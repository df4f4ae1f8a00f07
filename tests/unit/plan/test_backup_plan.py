"""The plan's `backup`: everything that the data host needs to know, or nothing where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import IDENTITY, PASSPHRASE, S3_SECRETS
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import SecretState

from tests.unit.plan.sites import BASELINE, COMPOSE, KUBERNETES, LOCAL, errors_of, plan_of, with_lines

PGBACKREST = "mesh_backup: {engine: pgbackrest}"


def test_without_an_engine_nothing_is_archived_and_no_secret_is_made(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, with_lines(BASELINE, "mesh_backup: {engine: none}"))
    assert plan["backup"] == {"engine": "", "host": "", "schedule": "0 2 * * *", "retention_days": 14}
    assert plan["postgresql"]["settings"]["archive_mode"] == "off"
    assert "archive_command" not in plan["postgresql"]["settings"], "it would show as (disabled) and never be in force"
    assert not {IDENTITY, PASSPHRASE} & set(plan["secrets"])


@pytest.mark.parametrize("site", [BASELINE, COMPOSE, KUBERNETES], ids=["systemd", "compose", "kubernetes"])
def test_pgbackrest_archives_every_half_minute_into_a_repository_of_the_data_host(site: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, site)
    assert plan == plan_of(tmp_path, with_lines(site, PGBACKREST)), "the default is said"
    backup = plan["backup"]
    assert (backup["engine"], backup["host"]) == ("pgbackrest", plan["postgresql"]["host"])
    assert [each["kind"] for each in backup["repositories"]] == ["local"]
    assert set(backup["timers"]) == {"full", "differential", "incremental", "configuration", "check"}
    settings = plan["postgresql"]["settings"]
    assert (settings["archive_mode"], settings["archive_timeout"]) == ("on", "30s")
    assert settings["archive_command"].endswith(" archive-push %p")
    assert {IDENTITY, PASSPHRASE} <= set(plan["secrets"])


def test_the_daily_dump_alone_needs_no_archive_and_no_passphrase(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, with_lines(BASELINE, "mesh_backup: {engine: dump}"))
    assert (plan["backup"]["repositories"], set(plan["backup"]["timers"])) == ([], {"configuration"})
    assert plan["postgresql"]["settings"]["archive_mode"] == "off"
    assert IDENTITY in plan["secrets"]
    assert PASSPHRASE not in plan["secrets"]


def test_an_object_store_is_the_second_repository(tmp_path: Path) -> None:
    lines = "mesh_backup: {engine: pgbackrest, s3: {endpoint: s3.acme.example, bucket: acme-mesh, port: 9000}}"
    plan = plan_of(
        tmp_path, with_lines(BASELINE, lines), secrets=dict.fromkeys(S3_SECRETS, SecretState(1, "f" * 16, exists=True))
    )
    second: dict[str, Any] = plan["backup"]["repositories"][1]
    assert (second["number"], second["kind"], second["endpoint"], second["port"]) == (2, "s3", "s3.acme.example", 9000)
    assert set(S3_SECRETS) <= set(plan["secrets"])


def test_local_processes_have_no_backups(tmp_path: Path) -> None:
    (said,) = errors_of(tmp_path, with_lines(LOCAL, PGBACKREST))
    assert "mesh_backup.engine" in said
    assert "nothing on platform process, which has no backups" in said


@pytest.mark.parametrize("text", ["Mon..Sat *-*-* 03:00:00", "*-*-* 00/6:30:00", "*-*-* *:00/15:00", "daily"])
def test_calendar_events_are_taken(text: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, with_lines(BASELINE, f"mesh_backup: {{engine: pgbackrest, full: '{text}'}}"))
    assert plan["backup"]["timers"]["full"] == text


@pytest.mark.parametrize(
    "text",
    ["*-*-* 02,29:00:00", "*-99-* 03:00:00", "*-*-99 03:00", "00/99:00", "2020-01-01 03:00:00", "0000-*-* 03:00"],
)
def test_calendar_events_that_are_none_or_never_due_are_refused(text: str, tmp_path: Path) -> None:
    (said,) = errors_of(tmp_path, with_lines(BASELINE, f"mesh_backup: {{engine: pgbackrest, full: '{text}'}}"))
    assert "allowed: a calendar event of systemd in quotes" in said


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("{endpoint: 'https://s3.acme.example', bucket: acme-mesh}", "the host name of an object store"),
        ("{endpoint: s3.acme.example, bucket: A}", "a bucket's name"),
        (
            "{endpoint: s3.acme.example, bucket: acme-mesh, ca: '-----BEGIN CERTIFICATE----- MII='}",
            "certificates in PEM",
        ),
        ("{bucket: acme-mesh}", "has no endpoint"),
    ],
)
def test_an_object_store_that_cannot_be_reached_so_is_refused(value: str, rule: str, tmp_path: Path) -> None:
    said = errors_of(tmp_path, with_lines(BASELINE, f"mesh_backup: {{engine: pgbackrest, s3: {value}}}"))
    assert any(rule in each for each in said), said


OUTSIDE = [
    "{kind: external, host: db.acme.example}",
    "{kind: cloudnativepg}",
]


@pytest.mark.parametrize("database", OUTSIDE, ids=["external", "cloudnativepg"])
def test_a_database_that_others_keep_is_backed_up_by_them(database: str, tmp_path: Path) -> None:
    site = with_lines(KUBERNETES, f"mesh_kubernetes_database: {database}")
    plan = plan_of(tmp_path, site)
    assert plan["backup"]["engine"] == ""
    assert not {IDENTITY, PASSPHRASE} & set(plan["secrets"])
    (said,) = errors_of(tmp_path, with_lines(site, PGBACKREST))
    assert "whose backups are its own; remove it" in said


def test_the_volume_of_backups_has_room_for_the_database_twice(tmp_path: Path) -> None:
    own = "mesh_kubernetes_database: {storage_gb: 10}"
    assert plan_of(tmp_path, with_lines(KUBERNETES, own))["kubernetes"]["database"]["backup_gb"] == 20
    own = "mesh_kubernetes_database: {storage_gb: 10, backup_gb: 15}"
    assert plan_of(tmp_path, with_lines(KUBERNETES, own))["kubernetes"]["database"]["backup_gb"] == 15


def test_an_object_store_is_a_flow_of_the_database_and_of_a_restore(tmp_path: Path) -> None:
    lines = "mesh_backup: {engine: pgbackrest, s3: {endpoint: s3.acme.example, bucket: acme-mesh, port: 9000}}"
    known = dict.fromkeys(S3_SECRETS, SecretState(1, "f" * 16, exists=True))
    flows = plan_of(tmp_path, with_lines(KUBERNETES, lines), secrets=known)["kubernetes"]["flows"]
    assert [flow for flow in flows if flow["to"] == "repository"] == [
        {"from": "postgresql", "to": "repository", "port": 9000},
        {"from": "restore", "to": "repository", "port": 9000},
    ]
    assert not [flow for flow in plan_of(tmp_path, KUBERNETES)["kubernetes"]["flows"] if flow["to"] == "repository"]

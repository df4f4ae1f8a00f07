"""pgBackRest is asked as it wants to be, and believed only where it tells the truth."""

from __future__ import annotations

import json

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.engine import Engine, parse_verify
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.info import parse_info
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.targets import target_options

from .host import VERSIONS, Host, recorded

OK = """stanza: aimesh
status: ok
  archiveId: 15-1, total WAL checked: 11, total valid WAL: 11
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261128-072823F, status: valid, total files checked: 966, total valid files: 966
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
"""
FLIPPED = OK.replace("status: ok", "status: error").replace(
    "status: valid, total files checked: 966, total valid files: 966\n    missing: 0, checksum invalid: 0",
    "status: invalid, total files checked: 966, total valid files: 965\n    missing: 0, checksum invalid: 1",
)


@pytest.mark.parametrize("version", VERSIONS)
def test_info_tells_the_backups_of_every_repository(version: str) -> None:
    info = parse_info(recorded(f"info-{version}.json"))
    assert [each.kind for each in info.of(1)] == ["full", "differential", "incremental"]
    assert [each.kind for each in info.of(2)] == ["full"]
    assert (info.status, info.cipher) == (0, "aes-256-cbc")
    assert {each.system_id for each in info.repositories} == {info.system_id}
    newest = info.newest(repository=1)
    assert newest is not None
    assert newest.kind == "incremental"
    assert newest.prior == info.of(1)[1].label
    assert newest.wal_start == "000000010000000000000009"


def test_a_wrong_passphrase_is_told_without_the_bytes_that_it_made(host: Host) -> None:
    message = (
        "[FormatError] unable to load info file '/r/backup.info':\nFormatError: key/value found outside of section"
    )
    raw = json.loads(recorded("info-2.45.json"))
    raw[0]["repo"][0]["status"] = {"code": 99, "message": f"{message} at line 1: \x1bgarbage"}
    text = json.dumps(raw).replace("\\u001b", "\x1b")
    (host.root / "bad.json").write_text(text, encoding="utf-8")
    host.pgbackrest(extra=f'*" info "*) cat {host.root}/bad.json ;;')
    with pytest.raises(BackupError) as caught:
        Engine(host.spec).ready()
    assert str(caught.value) == (
        "Repository 1 cannot be read: [FormatError] unable to load info file '/r/backup.info', "
        "as with another passphrase than it was made with."
    )


def test_what_is_no_info_is_refused() -> None:
    for text in ("", "{}", "[{}]", "null"):
        with pytest.raises(BackupError, match="cannot be understood"):
            parse_info(text)


def test_ready_changes_nothing_where_backups_are(host: Host) -> None:
    assert Engine(host.spec).ready() == (False, "4 backups are there", {})
    assert not [call for call in host.calls("pgbackrest") if " backup" in call or "stanza-create" in call]


def test_ready_makes_the_stanza_and_a_first_backup_in_each_empty_repository(host: Host) -> None:
    raw = json.loads(recorded("info-2.45.json"))[0]
    none = raw | {"backup": [], "db": [], "archive": []}
    none["repo"] = [each | {"status": {"code": 1, "message": "missing stanza path"}} for each in raw["repo"]]
    (host.root / "none.json").write_text(json.dumps([none]), encoding="utf-8")
    made = host.root / "made"
    host.pgbackrest(
        extra=f'*" info "*) test -e {made} || {{ cat {host.root}/none.json; exit 0; }}; cat {{}}/info ;;'.replace(
            "cat {}/info", f"cat {host.root}/some.json"
        )
        + f'\n*"--repo=2 backup "*) touch {made} ;;'
    )
    (host.root / "some.json").write_text(recorded("info-2.45.json"), encoding="utf-8")
    changed, told, begun = Engine(host.spec).ready()
    assert begun == {}
    assert changed
    assert told.startswith("made stanza aimesh, full backup 2026")
    calls = host.calls("pgbackrest")
    assert any(call.endswith("stanza-create") for call in calls)
    assert [call.split("--stanza=aimesh ")[1] for call in calls if " backup " in call] == [
        "--repo=1 backup --type=full",
        "--repo=2 backup --type=full",
    ]


def resumed(host: Host, waiting: str) -> dict[int, str]:
    """What begins anew where the newest segment in the archive is …0E and …10 and …11 were written since."""
    live = (host.root / "live.json").read_text(encoding="utf-8")
    (host.root / "live.json").write_text(live.replace("00000002000000000000000F", "000000020000000000000012"))
    host.program("psql", f'case "$*" in *json_build*) cat {host.root}/live.json ;; *status*) echo "{waiting}" ;; esac')
    (host.root / "before.json").write_text(recorded("info-2.45.json"), encoding="utf-8")
    raw = json.loads(recorded("info-2.45.json"))
    full = raw[0]["backup"][0]
    times, names = {"start": 1795860000, "stop": 1795860001}, {"start": "000000020000000000000013"}
    for repository in (1, 2):
        made = full | {"label": f"20261201-03000{repository}F", "timestamp": times}
        made |= {"archive": names | {"stop": "000000020000000000000013"}}
        raw[0]["backup"].append(made | {"database": {"id": 1, "repo-key": repository}})
    (host.root / "after.json").write_text(json.dumps(raw), encoding="utf-8")
    made_at = host.root / "made"
    look_at = f"if test -e {made_at}; then cat {host.root}/after.json; else cat {host.root}/before.json; fi"
    host.pgbackrest(extra=f'*" info "*) {look_at} ;;\n*" backup "*) touch {made_at} ;;')
    return Engine(host.spec).ready(resumed=True)[2]


def test_backups_that_were_off_begin_anew_where_wal_is_lost_to_the_archive(host: Host) -> None:
    begun = resumed(host, "")
    assert begun == {1: "000000020000000000000013", 2: "000000020000000000000013"}
    assert sum(" backup --type=full" in call for call in host.calls("pgbackrest")) == 2


def test_backups_whose_wal_is_only_on_its_way_do_not_begin_anew(host: Host) -> None:
    """Negative control."""
    on_its_way = " ".join(f"0000000200000000000000{number:02X}" for number in (0xF, 0x10, 0x11))
    assert resumed(host, on_its_way) == {}
    assert not [call for call in host.calls("pgbackrest") if " backup --type" in call]


def test_ready_refuses_the_repository_of_another_cluster(host: Host) -> None:
    host.psql(system_id="42")
    with pytest.raises(BackupError, match=r"^Repository 1 holds backups of another cluster .*playbooks/restore.yml"):
        Engine(host.spec).ready()


def test_a_backup_that_fails_in_one_repository_is_still_made_in_the_other(host: Host) -> None:
    host.pgbackrest(extra='*"--repo=1 backup"*) echo "P00  ERROR: [039]: No space left on device" >&2; exit 39 ;;')
    with pytest.raises(BackupError) as caught:
        Engine(host.spec).backup("differential")
    assert str(caught.value) == (
        "The differential backup in repository 1 failed, pgbackrest says: No space left on device."
    )
    assert any("--repo=2 backup --type=diff" in call for call in host.calls("pgbackrest"))


def test_a_backup_that_is_not_there_afterwards_was_not_made(host: Host) -> None:
    with pytest.raises(BackupError, match="0 of 2 are there"):
        Engine(host.spec).backup("full")


def test_the_archive_comes_with_the_history_of_its_newest_timeline(host: Host) -> None:
    archive = Engine(host.spec).segments(1)
    assert (archive.name, archive.segments[0], archive.segments[-1]) == (
        "15-1",
        "000000010000000000000001",
        "00000002000000000000000E",
    )
    assert archive.histories[2].startswith("1\t0/D0000A8")


def test_verify_reads_the_report_because_the_exit_code_is_always_0() -> None:
    assert parse_verify(OK, 1) == []
    assert parse_verify(FLIPPED, 1) == [
        "Repository 1: of backup 20261128-072823F only 965 of 966 files are valid "
        "(missing: 0, checksum invalid: 1, size invalid: 0, other: 0)."
    ]
    assert parse_verify("stanza: aimesh\nstatus: error\n  No usable backup.info file\n", 2) == [
        "Repository 2 cannot be verified: pgbackrest says status: error, No usable backup.info file."
    ]
    assert parse_verify("", 2) == ["Repository 2 cannot be verified: pgbackrest says nothing."]


def test_restore_takes_the_first_repository_that_works(host: Host) -> None:
    host.pgbackrest(
        extra='*"--repo=2 restore"*) exit 0 ;;\n*" restore "*) echo "ERROR: [029]: bad file" >&2; exit 29 ;;'
    )
    Engine(host.spec).restore("/data/new", archive_off=True)
    calls = [call for call in host.calls("pgbackrest") if " restore " in call]
    assert len(calls) == 3
    assert all(call.startswith("offline ") and "--archive-mode=off" in call for call in calls)
    assert ["--delta" in call for call in calls] == [False, True, True]


def test_restore_from_a_chosen_repository_tries_no_other(host: Host) -> None:
    host.pgbackrest(extra='*" restore "*) echo "ERROR: [029]: bad file" >&2; exit 29 ;;')
    with pytest.raises(BackupError, match=r"^The restore into /data/new failed, pgbackrest says: bad file\.$"):
        Engine(host.spec).restore("/data/new", repository=1)
    assert len(host.calls("pgbackrest")) == 1


def test_restore_never_goes_over_what_is_there(host: Host) -> None:
    (host.root / "data").mkdir()
    (host.root / "data" / "PG_VERSION").write_text("15\n", encoding="utf-8")
    with pytest.raises(BackupError, match=r"data is not empty \(it has .*/PG_VERSION\).*; move it away first\.$"):
        Engine(host.spec).restore(f"{host.root}/data")
    assert host.calls("pgbackrest") == []
    host.pgbackrest(extra='*" restore "*) echo "ERROR: [040]: it contains files" >&2; exit 40 ;;')
    with pytest.raises(BackupError, match="it contains files"):
        Engine(host.spec).restore(f"{host.root}/new")
    assert len(host.calls("pgbackrest")) == 1


def test_targets_are_latest_a_label_or_a_time_with_its_zone() -> None:
    assert target_options("latest") == []
    assert "--set=20261128-030000F_20261128-040000I" in target_options("20261128-030000F_20261128-040000I")
    assert "--target=2026-11-28 01:00:00.500000+00" in target_options("2026-11-28T03:00:00.5+02:00")
    for bad in ("", "yesterday", "2026-11-28T03:00:00", "2026-13-28T03:00:00Z", "20261128-030000D"):
        with pytest.raises(BackupError, match=r"is nothing to restore to|is no time that there is"):
            target_options(bad)

"""The command line: honest exit codes, one sentence, one run at a time, and a record of how each ended."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup import cli, command
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.cli import main
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.history import (
    Run,
    history_path,
    read_history,
    record_archived,
    record_begun,
    record_run,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.lock import run_lock
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.metrics import render
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.status import status

from .host import Host, recorded, without

NEWEST = "00000002000000000000000E"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def call(host: Host, capsys: Capture) -> Callable[..., tuple[int, str, str]]:
    def called(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--spec", host.path])
        told = capsys.readouterr()
        return code, told.out.strip(), told.err.strip()

    return called


Call = Callable[..., tuple[int, str, str]]


def exported(host: Host) -> str:
    return (host.root / "aimesh_backup.prom").read_text(encoding="utf-8")


def test_a_dump_succeeds_and_is_remembered(host: Host, call: Call) -> None:
    code, told, complaint = call("dump")
    assert (code, complaint) == (0, "")
    assert told.endswith("is made, 0.0 MB.")
    success = read_history(host.spec.state).of("dump").success
    assert success is not None
    assert success.label.startswith("mesh.dump-")


def test_a_dump_that_fails_says_so_once_and_is_remembered(host: Host, call: Call) -> None:
    call("dump")
    host.program("pg_dump", "echo 'pg_dump: error: too many clients' >&2; exit 1")
    assert call("dump") == (1, "", "pg_dump failed: too many clients.")
    dump = read_history(host.spec.state).of("dump")
    assert dump.failed_last
    assert dump.success is not None
    assert 'aimesh_backup_last_run_failed{type="dump"} 1' in exported(host)
    host.program("pg_dump", "echo PGDMP")
    assert call("dump")[0] == 0
    assert not read_history(host.spec.state).of("dump").failed_last


def test_wrong_usage_is_another_exit_code(host: Host, call: Call) -> None:
    for words in (("wipe",), ("restore", "--data-dir", "/d", "--to", "yesterday")):
        with pytest.raises(SystemExit) as caught:
            call(*words)
        assert caught.value.code == 2


def test_json_tells_a_failure_too(host: Host, call: Call) -> None:
    host.program("pg_dump", "exit 1")
    code, told, _ = call("dump", "--json")
    assert (code, json.loads(told)["ok"]) == (1, False)


def test_a_corrupted_specification_fails_in_one_sentence(host: Host, call: Call) -> None:
    (host.root / "backup.json").write_text("{", encoding="utf-8")
    code, _, complaint = call("status")
    assert code == 1
    assert complaint.count("\n") == 0
    assert "deploy the mesh again" in complaint


def test_without_an_engine_there_is_nothing_to_do(host: Host, call: Call) -> None:
    host.specify(engine="dump")
    assert call("full") == (1, "", "full needs pgbackrest, and mesh_backup.engine is dump here.")
    assert call("dump")[0] == 0
    host.specify(engine="")
    assert call("dump")[0] == 1


@pytest.mark.parametrize("lost", ["000000010000000000000002", "00000001000000000000000B", NEWEST])
def test_the_check_fails_for_the_first_a_middle_and_the_newest_segment(host: Host, call: Call, lost: str) -> None:
    assert call("check")[0] == 0
    host.pgbackrest(without(recorded("archive-2.45.json"), lost))
    code, _, complaint = call("check")
    assert code == 1
    assert complaint.startswith(f"Repository 1: The archive lacks {lost}: ")
    assert "aimesh_backup_wal_missing_segments 2" in (host.root / "aimesh_backup.prom").read_text().replace(
        " 1\n", " 2\n"
    )


def test_the_newest_segment_is_missed_although_postgresql_has_forgotten_it(host: Host) -> None:
    status(host.spec)
    host.pgbackrest(without(recorded("archive-2.45.json"), NEWEST))
    host.psql(archived="", archived_at=0)
    assert status(host.spec)["archive"]["missing_segments"] == 2
    host.program("psql", "echo 'psql: error: it is down' >&2; exit 2")
    document = status(host.spec)
    assert document["archive"]["missing_segments"] == 2
    assert document["problems"] == ["Asking PostgreSQL for the state of its archive failed, psql says: it is down."]


def test_a_pause_is_told_and_is_no_alarm_while_a_later_gap_is_one(host: Host, call: Call) -> None:
    lost = "00000001000000000000000B"
    host.pgbackrest(without(recorded("archive-2.45.json"), lost))
    assert status(host.spec)["archive"]["missing_segments"] > 0
    record_begun(host.spec.state, {1: "00000002000000000000000D", 2: "00000002000000000000000D"})
    archive = status(host.spec)["archive"]
    assert (archive["missing_segments"], archive["gaps"]) == (0, [])
    assert archive["ended"][0].startswith("Repository 1: Backups were off before 00000002000000000000000D; The archive")
    assert lost in call("status")[1]
    assert call("check")[0] == 0
    host.pgbackrest(without(recorded("archive-2.45.json"), NEWEST))
    assert status(host.spec)["archive"]["missing_segments"] == 2


def test_another_cluster_owes_nothing_for_its_predecessor(host: Host) -> None:
    record_archived(host.spec.state, "0000000900000000000000FF", "42")
    assert status(host.spec)["archive"]["gaps"] == []


def test_status_tells_the_repositories_and_what_was_sealed(host: Host, call: Call) -> None:
    call("dump")
    document = status(host.spec)
    assert document["problems"] == []
    assert [each["number"] for each in document["repositories"]] == [1, 2]
    assert document["archive"]["last_segment"] == NEWEST
    assert document["archive"]["age_s"] == 10.0
    assert document["dump"]["sealed"]
    assert document["configuration"] is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"archive_mode": "off"}, "PostgreSQL archives nothing: archive_mode is off; deploy the mesh again."),
        (
            {"failed": "00000002000000000000000F", "failed_at": 1795851010.0, "waiting": 3},
            "PostgreSQL could not archive 00000002000000000000000F, and 3 files wait; look at its log for why.",
        ),
        ({"failed": "00000002000000000000000D", "failed_at": 1795851000.0}, None),
    ],
)
def test_an_archive_that_does_not_work_is_a_problem(host: Host, changes: dict[str, Any], problem: str | None) -> None:
    host.psql(**changes)
    assert status(host.spec)["problems"] == ([problem] if problem else [])


def test_a_repository_that_is_not_encrypted_is_a_problem(host: Host) -> None:
    (host.root / "plain.json").write_text(recorded("info-2.45.json").replace("aes-256-cbc", "none"), encoding="utf-8")
    host.pgbackrest(extra=f'*" info "*) cat {host.root}/plain.json ;;')
    assert status(host.spec)["problems"][0].startswith("Repository 1 is not encrypted;")


def test_a_dump_that_was_replaced_by_a_legible_file_is_a_problem(host: Host, call: Call) -> None:
    call("dump")
    (host.root / "dumps" / "mesh.dump-99990101T000000Z.age").write_bytes(b"PGDMP")
    document = status(host.spec)
    assert not document["dump"]["sealed"]
    assert "is not encrypted" in document["problems"][0]


def test_metrics_count_the_repository_that_is_furthest_behind(host: Host) -> None:
    document = status(host.spec)
    stops = {each["repository"]: each["stop"] for each in document["backups"]}
    text = render(document)
    assert f'aimesh_backup_last_success_timestamp_seconds{{type="incremental"}} {min(stops.values()):.3f}' in text
    assert "aimesh_backup_wal_missing_segments 0" in text
    assert "aimesh_drill" not in text
    drill = {"verdict": "passed", "finished": 1795851002.0, "rto_s": 12.5, "rpo_s": 0.0}
    assert "aimesh_drill_rto_seconds 12.5\n" in render(document | {"drill": drill})
    assert "aimesh_drill" not in render(document | {"drill": drill | {"verdict": "failed"}})


def test_a_repository_that_has_lost_its_backups_counts_as_never_backed_up(host: Host) -> None:
    document = status(host.spec)
    document["repositories"][1]["code"] = 2
    assert 'aimesh_backup_last_success_timestamp_seconds{type="incremental"} 0\n' in render(document)


def test_runs_wait_for_each_other_and_not_for_ever(host: Host, call: Call) -> None:
    order: list[str] = []
    taken = threading.Event()

    def first() -> None:
        with run_lock(host.spec.state, "full backup"):
            taken.set()
            time.sleep(0.7)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    taken.wait(5)
    code, _, complaint = call("dump", "--wait", "0.1")
    assert code == 1
    assert "(full backup, process " in complaint
    assert complaint.endswith("did not end within 0.1 s; wait for it or stop it, then run again.")
    assert call("dump", "--wait", "10")[0] == 0
    order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_run_that_got_no_turn_is_a_failed_one_of_its_kind(
    host: Host, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("dump")[0] == 0
    with run_lock(host.spec.state, "full backup"):
        # Negative control: whoever says how long to wait hears the answer, and it is no failure of the kind.
        assert call("dump", "--wait", "0.1")[0] == 1
        assert not read_history(host.spec.state).of("dump").failed_last
        monkeypatch.setattr(cli, "WAIT_S", 0.1)
        assert call("dump")[0] == 1
    dump = read_history(host.spec.state).of("dump")
    assert dump.failed_last
    assert dump.failure is not None
    assert "Another run holds" in dump.failure.message
    assert 'aimesh_backup_last_run_failed{type="dump"} 1' in exported(host)


def test_records_of_runs_at_the_same_time_are_all_kept(host: Host) -> None:
    state = host.spec.state

    def record(kind: str) -> None:
        for number in range(20):
            record_run(state, Run(kind, 0.0, float(number), True, "It is made."))

    threads = [threading.Thread(target=record, args=(kind,)) for kind in ("full", "dump", "check")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = read_history(state)
    assert {kind: each.success.finished for kind, each in kept.kinds.items() if each.success} == {
        "full": 19.0,
        "dump": 19.0,
        "check": 19.0,
    }


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 7}', '{"schema": 1, "kinds": {"full": {}}}'])
def test_a_torn_history_is_told_and_begun_anew(host: Host, call: Call, content: str) -> None:
    call("dump")
    Path(history_path(host.spec.state)).write_text(content, encoding="utf-8")
    with pytest.raises(BackupError, match=r"history.json"):
        read_history(host.spec.state)
    assert call("dump")[0] == 0
    assert read_history(host.spec.state).of("dump").success is not None


def test_configuration_is_copied_to_the_repository_elsewhere(host: Host, call: Call) -> None:
    (host.root / "far").mkdir()
    far = host.root / "far"
    put = f'*"--repo=2 repo-put --raw aimesh/configuration/"*) cat > {far}/$(basename "$(eval echo \\${{$#}})") ;;'
    listing = (
        f'*"repo-ls --output=json aimesh/configuration") for each in {far}/*; do '
        'echo "{\\"$(basename $each)\\":{\\"type\\":\\"file\\",\\"size\\":$(stat -c %s $each)}}"; done ;;'
    )
    host.pgbackrest(extra=f"{put}\n{listing}")
    code, told, complaint = call("configuration")
    assert (code, complaint) == (0, "")
    assert told.endswith("with a copy in repository 2.")
    (copy,) = far.iterdir()
    assert copy.read_bytes() == (host.root / "configuration" / copy.name).read_bytes()


def test_a_copy_that_is_cut_short_fails(host: Host, call: Call) -> None:
    host.pgbackrest(extra='*" repo-ls --output=json aimesh/"*) echo "{}" ;;\n*" repo-put "*) cat >/dev/null ;;')
    code, _, complaint = call("configuration")
    assert code == 1
    assert "in repository 2 has None bytes, not all" in complaint


def test_what_the_repositories_keep_is_told_without_postgresql(host: Host, call: Call) -> None:
    host.program("psql", "exit 2")
    code, told, _ = call("kept", "--json")
    found = json.loads(told)["found"]
    assert code == 0
    assert found.startswith("repository 1 has backups of a database (the newest is 20261128-")
    assert " and repository 2 has backups" in found
    assert all(each.startswith("offline ") for each in host.calls("pgbackrest"))
    # Negative controls: none there, and one that nobody can read.
    host.pgbackrest(extra='*" info "*) echo "[]" ;;')
    assert call("kept") == (0, "No repository has a backup.", "")
    raw = json.loads(recorded("info-2.45.json"))
    raw[0]["repo"][1]["status"] = {"code": 99, "message": "HTTP request failed with 403"}
    (host.root / "bad.json").write_text(json.dumps(raw), encoding="utf-8")
    host.pgbackrest(extra=f'*" info "*) cat {host.root}/bad.json ;;')
    assert call("kept") == (1, "", "Repository 2 cannot be read: HTTP request failed with 403.")


def test_a_run_that_is_stopped_is_a_failed_one_and_leaves_nothing_behind(host: Host, call: Call) -> None:
    host.program("pg_dump", f"echo half; touch {host.root}/begun; exec sleep 60")

    def stop() -> None:
        while not (host.root / "begun").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    assert call("dump") == (1, "", "The run was stopped by SIGTERM.")
    assert read_history(host.spec.state).of("dump").failed_last
    assert list((host.root / "dumps").iterdir()) == []


def test_the_cause_of_a_refusal_is_told_with_it() -> None:
    told = (
        "ERROR: [029]: unable to load info file '/a/archive.info' or '/a/archive.info.copy':\n"
        "       ProtocolError: HTTP request failed with 403 (Forbidden):\n"
        "       *** Path/Query ***:\n"
    )
    assert command.reason(told, "", 29) == (
        "unable to load info file '/a/archive.info' or '/a/archive.info.copy'"
        " (HTTP request failed with 403 (Forbidden))"
    )

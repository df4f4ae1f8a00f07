"""Backups of a deployed mesh: made, encrypted, continuous; and what is broken is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from backed_site import Backed, segment_name
from story_claims import succeeded

KINDS = ("full", "differential", "incremental", "dump", "configuration")
SEGMENT = "[0-9A-F]{24}"
SEALED = b"age-encryption.org/v1\n"


class BackupStories:
    """`backed` is a fixture with a deployed site that is healthy; each story leaves it so."""

    @pytest.fixture(autouse=True)
    def _whole_again(self, backed: Backed) -> Iterator[None]:
        yield
        assert backed.status()["problems"] == []
        assert backed.vm.run("ls /var/lib/aimesh-backup/scratch") == ""

    def test_the_first_full_backup_is_there_after_the_deploy(self, backed: Backed) -> None:
        status = backed.status()
        assert status["problems"] == []
        assert status["backups"][0]["kind"] == "full"
        assert [each["cipher"] for each in status["repositories"]] == ["aes-256-cbc"]
        timers = backed.vm.run("systemctl list-timers --plain --no-legend 'aimesh-backup-*'").splitlines()
        assert len(timers) == len(backed.plan["backup"]["timers"])

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_kind_is_made_on_request(self, backed: Backed, kind: str) -> None:
        before = time.time()
        outcome = succeeded(backed.backup(kind))
        made = backed.status()["history"][kind]
        assert made["success"]["finished"] >= before - 1
        assert made["failed_last"] is False
        assert made["success"]["label"] in outcome.output

    def test_the_daily_line_makes_a_dump(self, backed: Backed) -> None:
        (line,) = [each for each in backed.vm.run("cat /etc/cron.d/aimesh-backup").splitlines() if "backup-db" in each]
        schedule, _, command = line.partition(" root ")
        assert schedule == backed.plan["backup"]["schedule"]
        before = backed.status()["dump"]
        time.sleep(1.1)
        backed.vm.run(f"env -i PATH=/usr/bin:/bin HOME=/ /bin/sh -c {json.dumps(command)}")
        after = backed.status()["dump"]
        assert after["sealed"]
        assert before is None or after["path"] > before["path"]

    def test_a_dump_that_fails_has_an_exit_code(self, backed: Backed) -> None:
        recipients = "/etc/aimesh/backup/recipients"
        with backed.kept(recipients):
            backed.vm.run(f": > {recipients}")
            ended = backed.vm.run("/usr/local/bin/backup-db.sh 2>&1; echo $?").split()
            assert ended[-1] != "0"
        backed.vm.run("/usr/local/bin/backup-db.sh")

    def test_archives_open_with_the_right_key_alone(self, backed: Backed) -> None:
        import pyrage

        status = backed.status()
        stranger = pyrage.x25519.Identity.generate()
        for kind in ("dump", "configuration"):
            content = backed.bytes_of(status[kind]["path"])
            assert content.startswith(SEALED)
            with pytest.raises(pyrage.DecryptError):
                pyrage.decrypt(content, [stranger])

    def test_no_secret_can_be_read_from_what_is_stored(self, backed: Backed) -> None:
        secrets = backed.secrets()
        assert len(secrets) >= 5
        root = backed.plan["backup"]["root"]
        assert backed.holding(root, secrets.values()) == []
        # Negative control: the search sees what is there, raw and coded.
        backed.vm.run(f"mkdir {root}/looked && head -1 /etc/aimesh/credentials/{min(secrets)} > {root}/looked/raw")
        backed.vm.run(f"(printf x; cat {root}/looked/raw) | base64 -w0 > {root}/looked/coded")
        found = backed.holding(root, secrets.values())
        backed.vm.run(f"rm -r {root}/looked")
        assert {path.rpartition("/")[2] for path in found} == {"raw", "coded"}

    @pytest.mark.parametrize("which", ["first", "middle", "newest"])
    def test_a_segment_that_is_missing_is_named(self, backed: Backed, which: str) -> None:
        segments = backed.segments()
        needed = [path for path in segments if segment_name(path) >= backed.status()["backups"][0]["wal_start"]]
        assert len(needed) >= 3
        path = {"first": needed[0], "middle": needed[len(needed) // 2], "newest": needed[-1]}[which]
        with backed.without(path):
            archive = backed.status()["archive"]
            assert archive["missing_segments"] == 1
            assert segment_name(path) in archive["gaps"][0]
            code, told = backed.program("check")
            assert code == 1
            assert segment_name(path) in told
        assert backed.program("check")[0] == 0

    def test_a_history_file_that_is_archived_last_hides_no_later_segment(self, backed: Backed) -> None:
        """A restore drill takes no segment after the newest one; a backup needs all until it ended."""
        status = f"{backed.plan['postgresql']['data_dir']}/pg_wal/archive_status"
        backed.sql("SELECT pg_create_restore_point('later'), pg_switch_wal()")
        backed.archives(SEGMENT)
        # As if PostgreSQL came to it only now; a signal makes it look.
        again = "ls *.backup.done | tail -1 | sed s/.done$//"
        backed.vm.run(f'cd {status} && history=$({again}) && mv "$history.done" "$history.ready"')
        backed.sql("SELECT pg_reload_conf()")
        backed.archives(rf"{SEGMENT}\.[0-9A-F]{{8}}\.backup")
        named = backed.sql("SELECT left(last_archived_wal, 24) FROM pg_stat_archiver")
        assert named < backed.newest_archived() == segment_name(backed.segments()[-1])

    def test_bytes_that_changed_in_a_backup_are_found(self, backed: Backed) -> None:
        largest = backed.largest_file_of(backed.status()["backups"][0]["label"])
        with backed.kept(largest):
            backed.flip(largest)
            code, told = backed.program("verify")
            assert code == 1
            assert "invalid" in told or "checksum" in told, told
        assert backed.program("verify")[0] == 0

    def test_a_wrong_passphrase_opens_nothing(self, backed: Backed) -> None:
        with backed.wrong_passphrase():
            code, told = backed.program("check")
            assert code == 1
            assert "another passphrase" in told, told
            assert "0000" not in told
        assert backed.program("check")[0] == 0

    def test_a_repository_without_room_fails_the_backup_and_loses_no_wal(self, backed: Backed) -> None:
        with backed.full_disk():
            code, told = backed.program("full")
            assert code == 1
            assert "unable to write" in told or "No space left" in told, told
            assert backed.status()["history"]["full"]["failed_last"]
        assert backed.program("check")[0] == 0
        assert backed.program("full")[0] == 0
        assert backed.status()["archive"]["gaps"] == []

    def test_an_encrypted_file_that_is_not_is_told(self, backed: Backed) -> None:
        path = backed.status()["configuration"]["path"]
        with backed.kept(path):
            backed.vm.run(f"tar -cf - /etc/aimesh/backup/recipients 2>/dev/null > {path}")
            status = backed.status()
            assert not status["configuration"]["sealed"]
            assert PurePosixPath(path).name in status["problems"][0]
        assert backed.status()["problems"] == []

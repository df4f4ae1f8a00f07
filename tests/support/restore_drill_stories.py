"""Backups of a deployed mesh as drills and the verifier judge them: good for a restore, or red with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from backed_site import PROOF, Backed, said, segment_name
from story_claims import succeeded

from tests.testbed import disaster

DUMP_ONLY = ("-e", json.dumps({"mesh_backup": {"engine": "dump"}}))


class RestoreDrillStories:
    """`backed` is a fixture with a deployed site that is healthy; each story leaves it so."""

    @pytest.fixture(autouse=True)
    def _whole_again(self, backed: Backed) -> Iterator[None]:
        yield
        # A drill that was meant to fail is no reason for the next verification to complain.
        backed.vm.run(f"rm -f {PROOF}")
        assert backed.vm.run("ls /var/lib/aimesh-backup/scratch") == ""

    def test_a_drill_restores_what_was_acknowledged_and_leaves_the_archive_alone(self, backed: Backed) -> None:
        before = backed.timelines()
        outcome = succeeded(backed.drill())
        held = backed.proof()
        print(json.dumps(held, indent=1))
        assert held["verdict"] == "passed", held
        assert held["acknowledged"] > 20
        assert 0 <= held["rpo_s"] <= disaster.RPO_S
        assert held["rto_s"] > 0
        assert backed.timelines() == before
        assert backed.failed_checks() == {}, outcome.output[-2000:]

    def test_a_drill_in_check_mode_restores_nothing(self, backed: Backed) -> None:
        outcome = succeeded(backed.drill("--check"))
        assert outcome.changed == []
        assert backed.vm.run(f"ls {PROOF} 2>/dev/null", check=False) == ""

    def test_a_drill_without_the_newest_segment_tells_what_is_lost(self, backed: Backed) -> None:
        with backed.without(backed.segments()[-1]):
            said(backed.drill(), "lost")
            assert backed.proof()["verdict"] == "failed"
            assert "backup.drill.recent" in backed.failed_checks()

    def test_bytes_that_changed_in_a_backup_end_the_drill(self, backed: Backed) -> None:
        path = backed.largest_file_of(backed.status()["backups"][-1]["label"])
        with backed.kept(path):
            backed.flip(path)
            text = said(backed.drill("-e", "mesh_drill_moment=now"), "pgbackrest says")
            # Which of the two sees it first depends on where in a compressed block the bytes lie.
            assert "checksum" in text or "corruption detected" in text, text[-2000:]
            assert backed.proof()["verdict"] == "failed"

    def test_a_gap_in_the_archive_is_red(self, backed: Backed) -> None:
        segments = backed.segments()
        with backed.without(segments[len(segments) // 2]):
            assert segment_name(segments[len(segments) // 2]) in backed.failed_checks()["backup.archive.continuous"]
        assert backed.failed_checks() == {}

    def test_a_wrong_passphrase_is_red(self, backed: Backed) -> None:
        with backed.wrong_passphrase():
            assert backed.failed_checks()
        assert backed.failed_checks() == {}

    def test_dumps_alone_do_not_keep_the_promise(self, backed: Backed) -> None:
        assert "backup.rpo.promised" in backed.failed_checks(*DUMP_ONLY)

    def test_an_encrypted_file_that_is_not_is_red(self, backed: Backed) -> None:
        path = backed.status()["configuration"]["path"]
        with backed.kept(path):
            backed.vm.run(f"tar -cf - /etc/aimesh/backup/recipients 2>/dev/null > {path}")
            assert "backup.configuration.encrypted" in backed.failed_checks()
        assert backed.failed_checks() == {}

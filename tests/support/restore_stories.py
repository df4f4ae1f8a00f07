"""Data that are lost are not begun anew: a deploy refuses to, and they come back as of a moment."""

from __future__ import annotations

import datetime
import time

from backed_site import Backed, said
from story_claims import succeeded

from tests.testbed import database
from tests.testbed.acknowledged_rows import Ledger

ASK = "SELECT string_agg(name, ' ' ORDER BY name) FROM agents WHERE namespace = 'acknowledged' AND deleted_at IS NULL"


class RestoreStories:
    """`backed` is a fixture with a deployed site of its own; it is healthy after each story."""

    def test_a_live_database_is_not_overwritten_without_a_word(self, backed: Backed) -> None:
        before = backed.sql("SELECT pg_postmaster_start_time()")
        said(backed.run("restore"), "mesh_restore_overwrite")
        said(backed.run("restore", "-e", "mesh_restore_overwrite=another"), "mesh_restore_overwrite")
        assert backed.sql("SELECT pg_postmaster_start_time()") == before

    def test_lost_data_are_not_begun_anew_and_come_back_as_of_a_moment(self, backed: Backed) -> None:
        vm, plan = backed.vm, backed.plan
        ledger = Ledger.of(vm, plan)
        assert ledger.write()
        time.sleep(2)
        moment = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        time.sleep(2)
        assert ledger.write()
        early, late = (name for name, _ in ledger.rows)
        assert {early, late} <= set(backed.sql(ASK).split())
        database.switch(vm, plan)
        database.lose(vm, plan)
        text = said(backed.run("deploy"), "playbooks/restore.yml", "mesh_empty_database")
        assert vm.run(f"ls -A {plan['postgresql']['data_dir']} 2>/dev/null", check=False) == "", text[-2000:]
        succeeded(backed.run("restore", "-e", f"mesh_restore_to={moment}"))
        there = backed.sql(ASK).split()
        assert early in there
        assert late not in there
        assert ledger.write()
        assert backed.site.verify(*backed.arguments).returncode == 0
        assert len(backed.timelines()) > 1
        assert succeeded(backed.run("deploy")).changed == []


class UnreachedStories:
    """The same, for one platform: what pgBackRest and PostgreSQL say does not depend on it."""

    def test_a_moment_that_was_never_reached_is_no_restore(self, backed: Backed) -> None:
        """Negative control: the data are as before."""
        later = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).isoformat(timespec="seconds")
        before = backed.sql(ASK)
        overwrite = ("-e", f"mesh_restore_overwrite={backed.plan['mesh']['name']}")
        said(backed.run("restore", "-e", f"mesh_restore_to={later}", *overwrite), "reached")
        succeeded(backed.run("deploy"))
        assert backed.sql(ASK) == before

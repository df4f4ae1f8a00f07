"""What a restore asks of which host, and what is refused before any of them is touched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.action.restore import ActionModule
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.database_restore import refuse_live
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceError

from tests.unit.plan.sites import BASELINE, COMPOSE, LOCAL, TWO_HOSTS, plan_of, with_lines

ROOT = Path(__file__).parents[3]
ENGINE = "mesh_backup: {engine: pgbackrest}"
VERBS = ("confirm", "look", "stop", "restore")


def asked(plan: Plan, verb: str, host: str = "") -> dict[str, Any] | None:
    action = object.__new__(ActionModule)
    action._task = SimpleNamespace(args={"verb": verb})
    where = host or plan["postgresql"]["host"]
    part = Slice(
        plan, where, None, ROOT, False, lambda names: pytest.fail(f"{verb} needs no secret, asked for {names}")
    )
    return action.module_args(part)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("site", [BASELINE, COMPOSE, LOCAL], ids=["systemd", "compose", "process"])
def test_without_a_repository_every_verb_is_refused(site: str, verb: str, tmp_path: Path) -> None:
    site = with_lines(site, "mesh_backup: {engine: none}")
    with pytest.raises(SliceError, match=r"mesh_backup\.engine is none; set it to pgbackrest"):
        asked(plan_of(tmp_path, site), verb)


def test_a_restore_is_confirmed_before_the_lease_and_before_a_host_is_prepared() -> None:
    plays = yaml.safe_load((ROOT / "playbooks/restore.yml").read_text())
    tasks = [task for play in plays for task in play.get("tasks", [])]
    modules = [next(key for key in task if key != "name") for task in tasks]
    first = next(task for task in tasks if "aimesh.mesh.restore" in task)
    assert first["aimesh.mesh.restore"] == {"verb": "confirm"}
    assert modules.index("aimesh.mesh.restore") < modules.index("aimesh.mesh.state") < modules.index("block")


@pytest.mark.parametrize(("word", "confirmed"), [("", False), ("mesh_restore_overwrite: acme", True)])
def test_the_confirmation_is_the_name_of_the_mesh(word: str, confirmed: bool, tmp_path: Path) -> None:
    args = asked(plan_of(tmp_path, with_lines(BASELINE, f"{ENGINE}\n{word}".rstrip())), "confirm")
    assert args is not None
    assert (args["mesh"], args["confirmed"]) == ("acme", confirmed)


def test_a_database_is_replaced_only_after_a_confirmation(tmp_path: Path) -> None:
    assert not refuse_live(str(tmp_path), "acme", confirmed=False)
    (tmp_path / "PG_VERSION").touch()
    assert refuse_live(str(tmp_path), "acme", confirmed=True)
    with pytest.raises(BackupError, match=rf"There is a database in {tmp_path}.*mesh_restore_overwrite.*acme"):
        refuse_live(str(tmp_path), "acme", confirmed=False)


@pytest.mark.parametrize("site", [BASELINE, COMPOSE], ids=["systemd", "compose"])
def test_every_slot_stops_and_the_migration_runs_again(site: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, with_lines(site, ENGINE))
    args = asked(plan, "stop")
    assert args is not None
    slots = {each["unit"] for each in (*plan["instances"], *plan["spares"])}
    assert {unit["name"] for unit in args["units"]} == slots
    assert all(unit["stop_s"] > 0 for unit in args["units"])
    assert args["oneshots"] == ["aimesh-migrate"]
    assert set(args["containers"]) >= (slots if args["supervisor"] == "compose" else set())


def test_only_the_data_host_restores(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, with_lines(TWO_HOSTS, ENGINE))
    (other,) = (name for name in plan["hosts"] if name != plan["postgresql"]["host"])
    assert asked(plan, "restore", other) is None
    assert asked(plan, "restore") is not None

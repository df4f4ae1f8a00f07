"""Every check can pass, and every check can fail."""

from __future__ import annotations

from typing import Any

import pytest
from control_kit import Control, answer_of, unit
from controls import CONTROLS
from controls_monitoring import fires
from healthy import WRITTEN, judge, plan_of
from vocabulary.check import CATALOGUE

PLANS = ("small", "local", "compose", "two_hosts", "kubernetes")


@pytest.mark.parametrize("name", PLANS)
def test_a_mesh_as_planned_passes_every_check(name: str) -> None:
    results = judge(plan_of(name))
    assert [result for result in results if result["status"] not in ("pass", "not_applicable")] == []
    assert len(results) > 60


def test_every_check_passes_somewhere_so_that_none_is_dead() -> None:
    passed = {result["check"] for name in PLANS for result in judge(plan_of(name)) if result["status"] == "pass"}
    assert passed == set(CATALOGUE)


@pytest.mark.parametrize("name", PLANS)
def test_every_platform_is_judged_by_the_same_checks(name: str) -> None:
    assert {result["check"] for result in judge(plan_of(name))} == set(CATALOGUE)


def test_every_check_has_a_negative_control() -> None:
    assert {control.check for control in CONTROLS} == set(CATALOGUE)


@pytest.mark.parametrize("control", CONTROLS, ids=[f"{control.check}: {control.broken}" for control in CONTROLS])
def test_a_broken_mesh_fails_the_check(control: Control) -> None:
    results = [result for result in judge(plan_of(control.plan), control.change) if result["check"] == control.check]
    failed = [result for result in results if result["status"] == "fail"]
    assert failed, results
    assert any(control.says in result["actual"] for result in failed), [result["actual"] for result in failed]
    assert all(result["expected"] for result in failed)
    assert all(result["hint"] for result in failed)


def test_a_changed_inventory_turns_only_the_plan_red_and_names_the_difference() -> None:
    applied = plan_of("small")
    wanted = plan_of("small", digest="sha256:1", services__registry__replicas=2)
    red = [result for result in judge(applied, wanted=wanted) if result["status"] not in ("pass", "not_applicable")]
    assert [result["id"] for result in red] == ["plan.applied"]
    assert "services.registry.replicas (1 → 2)" in red[0]["actual"]


def test_a_site_that_forbids_writes_is_not_written_to_and_not_called_proven() -> None:
    plan = plan_of("small", verify__writes=False)
    asked = []
    results = judge(plan, lambda question, value: asked.append(question) or value)
    writing = {check_id for check_id, (check, _) in CATALOGUE.items() if check.writes}
    assert {result["check"] for result in results if result["status"] == "skip"} == writing
    assert all("mesh_verify_writes" in result["actual"] for result in results if result["status"] == "skip")
    posts = [step for question in asked for step in question.get("steps", []) if step.get("method") != "GET"]
    assert all(step["json"] == {} and "token" not in step for step in posts)


def test_a_restart_of_last_week_is_history() -> None:
    results = judge(plan_of("small"), unit("aimesh-registry@a", NRestarts="1"))
    assert {result["status"] for result in results} == {"pass", "not_applicable"}


@pytest.mark.parametrize(
    ("gone", "says"), [({"last": None, "proof": None}, "yet"), ({"proof": None}, "ran without load")]
)
def test_a_mesh_that_was_never_updated_under_load_has_no_rollout_to_prove(gone: dict[str, Any], says: str) -> None:
    results = judge(plan_of("small"), answer_of("rollouts", lambda seen: seen.update(gone)))
    last = [result for result in results if result["id"].startswith("rollout.last")]
    assert {result["status"] for result in last} == {"not_applicable"}
    assert all(says in result["actual"] for result in last)
    assert {result["status"] for result in results if result["id"] == "rollout.none_unfinished"} == {"pass"}


def test_a_mesh_that_nobody_watches_says_so_and_is_not_called_watched() -> None:
    results = [each for each in judge(plan_of("small", monitoring=None)) if each["id"].startswith("monitoring.")]
    assert {result["status"] for result in results} == {"not_applicable"}
    assert all("mesh_monitoring has no host" in result["actual"] for result in results)


def test_an_alert_drill_that_was_never_held_is_no_pass() -> None:
    results = judge(plan_of("small"), answer_of("drills", lambda seen: seen.update(alerts=None)))
    drill = next(result for result in results if result["id"] == "monitoring.drill.recent")
    assert drill["status"] == "not_applicable"
    assert "nothing is proven" in drill["actual"]


@pytest.mark.parametrize("name", ["small", "compose"])
def test_a_mesh_without_backups_says_so_and_is_not_called_backed_up(name: str) -> None:
    plan = plan_of(name, backup__engine="")
    results = [each for each in judge(plan) if each["id"].startswith("backup.")]
    assert {result["status"] for result in results} == {"not_applicable"}
    assert {result["actual"] for result in results} == {
        "nothing makes backups of this mesh: mesh_backup.engine is none"
    }


@pytest.mark.parametrize(
    ("gone", "check", "says"),
    [
        ({"drill": None}, "backup.drill.recent", "no restore is proven"),
        ({"drill": {"dump": None}}, "backup.dump.restores", "no dump is proven"),
        ({"dump": None, "now": WRITTEN + 60}, "backup.dump.recent", "no dump was due"),
        ({"configuration": None, "now": WRITTEN + 60}, "backup.configuration.encrypted", "nothing is proven"),
    ],
)
def test_a_first_backup_that_is_not_due_yet_is_no_pass(gone: dict[str, Any], check: str, says: str) -> None:
    results = judge(plan_of("small"), answer_of("backup", lambda seen: seen["status"].update(gone), "'status'"))
    result = next(each for each in results if each["id"] == check)
    assert result["status"] == "not_applicable"
    assert says in result["actual"]


def test_dumps_alone_have_no_repository_and_do_not_keep_the_promise() -> None:
    plan = plan_of("small", backup__engine="dump", backup__repositories=[])
    results = {each["id"]: each for each in judge(plan) if each["id"].startswith("backup.")}
    assert [name for name, each in results.items() if each["status"] == "fail"] == ["backup.rpo.promised"]
    assert "every 1 days" in results["backup.rpo.promised"]["actual"]
    of_repositories = ("repository.encrypted", "full.recent", "archive.works", "archive.continuous", "drill.recent",
                       "dump.restores")  # fmt: skip
    assert {results[f"backup.{name}"]["status"] for name in of_repositories} == {"not_applicable"}


def test_the_wish_for_dumps_alone_is_judged_before_it_is_applied() -> None:
    wanted = plan_of("small", backup__engine="dump")
    results = {each["id"]: each["status"] for each in judge(plan_of("small"), wanted=wanted)}
    assert results["backup.rpo.promised"] == "fail"


@pytest.mark.parametrize(("store", "part"), [("postgresql", "database"), ("redis", "cache")])
def test_a_store_that_others_keep_is_said_to_be_theirs_and_not_called_checked(store: str, part: str) -> None:
    plan = plan_of("kubernetes", **{f"kubernetes__{part}": {"kind": "external", "host": "db.acme.example"}})
    capable = {check_id for check_id, (check, _) in CATALOGUE.items() if check.capability == store}
    results = [each for each in judge(plan) if each["check"] in capable]
    assert results
    assert {(each["status"], each["actual"]) for each in results} == {
        ("not_applicable", f"{store} is kept by others here, who alone see into it")
    }


def test_alerts_of_a_drill_and_warnings_do_not_disturb_the_quiet() -> None:
    alerts = [{"alertname": "Drilled", "severity": "critical", "drill": "true"}]
    alerts += [{"alertname": "DiskFilling", "severity": "warning"}]
    results = judge(plan_of("small"), answer_of("monitoring", lambda seen: seen["prometheus"]["alerts"].extend(alerts)))
    assert [each["id"] for each in results if each["status"] not in ("pass", "not_applicable")] == []


def test_a_broken_part_of_monitoring_does_not_hide_that_alerts_arrived_a_moment_ago() -> None:
    """The exporter that fails is red, and the way of alerts is not."""
    results = judge(plan_of("small"), answer_of("monitoring", lambda seen: seen["prometheus"]["targets"].clear()))
    assert {each["id"] for each in results if each["status"] == "fail"} == {"monitoring.targets.up"}


def test_what_one_run_wants_is_no_difference_between_plans() -> None:
    wanted = plan_of("small", verify__writes=False)
    assert "plan.applied" not in [
        result["id"] for result in judge(plan_of("small"), wanted=wanted) if result["status"] == "fail"
    ]


def test_a_mesh_of_two_hosts_is_asked_where_things_are() -> None:
    results = judge(plan_of("two_hosts"))
    assert [result for result in results if result["status"] not in ("pass", "not_applicable")] == []
    where = {result["id"]: result["host"] for result in results}
    assert where["postgresql.version.planned"] == where["redis.version.planned"] == "vm2"
    assert where["health.registry.instance"] == "vm1"
    assert where["plan.applied"] == "vm2"


@pytest.mark.parametrize(
    ("name", "ago_s", "status"),
    [
        ("ErrorBudgetBurnFast", 299, "pass"),
        ("ErrorBudgetBurnFast", 301, "fail"),
        ("ErrorBudgetBurnMedium", 1799, "pass"),
        ("HighErrorRate", 299, "pass"),
        ("HighErrorRate", 301, "fail"),
        ("ServiceDown", 1, "fail"),
    ],
)
def test_the_outage_before_a_restore_excuses_its_errors_for_as_long_as_an_alert_looks_back(
    name: str, ago_s: float, status: str
) -> None:
    def change(question: dict[str, Any], value: Any) -> Any:
        restored = answer_of("drills", lambda seen: seen.update(restored=seen["at"] - ago_s))
        return restored(question, fires(alertname=name, service="registry")(question, value))

    results = judge(plan_of("small"), change)
    assert [each["status"] for each in results if each["id"] == "monitoring.alerts.quiet"] == [status]

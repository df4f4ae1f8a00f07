"""Every rule fires when it should and is silent when it should, and a mistake in any of them is noticed."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_groups
from monitoring_tools import DEBIAN_SUITES, machine_suite, tool

from .cases import ALL
from .claims import Case, Fires, Series, ending, fires, series, slot, told
from .mutants import Mutant, mutants
from .plans import small_plan, with_teams
from .promtool import Trial, name_of, needed, rules_of, verdicts
from .trials import ALWAYS, RULES, all_cases, survivors, told_cases, trials

OTHER_SUITE = next(suite for suite in DEBIAN_SUITES if suite != machine_suite())
PLAYBOOK_RULE = {
    "alert": "HighErrorRate",
    "expr": "(rate(ai_mesh_errors_total[5m]) / rate(ai_mesh_requests_total[5m])) > 0.05",
    "for": "5m",
    "labels": {"severity": "critical"},
    "annotations": {"summary": "High error rate detected", "description": "Error rate is {{ $value }}%"},
}
"""As the playbook has it, section 7.3."""


Fired = tuple[Fires, ...]


def untested(cases: list[Case]) -> list[str]:
    """Rules without a case in which they give something, or without one in which they give nothing."""
    seen = {(case.rule, case.is_positive) for case in cases}
    wanted = [(name_of(rule), positive) for rule in RULES for positive in (True, False)]
    return sorted(
        {name for name, positive in wanted if (name, positive) not in seen and (positive or name not in ALWAYS)}
    )


def failed(found: dict[str, str]) -> str:
    return "\n".join(f"{name}\n{said}" for name, said in found.items() if said)


def test_every_rule_does_what_its_cases_claim(tmp_path):
    assert not failed(verdicts(trials(all_cases()), tmp_path))


def test_the_other_debian_finds_the_same(tmp_path):
    assert not failed(verdicts(trials(ALL), tmp_path, OTHER_SUITE))


def test_every_rule_has_a_case_in_both_polarities():
    assert untested(told_cases()) == []


@pytest.mark.parametrize("positive", [True, False])
def test_a_rule_without_one_polarity_is_noticed(positive):
    assert untested([case for case in ALL if case.rule != "RedisDown" or case.is_positive != positive]) == ["RedisDown"]


@pytest.mark.parametrize("recording", ["service:ai_mesh_errors:rate3d", "host:node_filesystem_free:ratio"])
def test_a_recording_without_cases_is_noticed(recording):
    assert untested([case for case in ALL if case.rule != recording]) == [recording]


def test_every_alert_has_a_case_without_its_series():
    silent = {case.rule for case in ALL if not case.series or "absent" in expr_of(case.rule)}
    alerts = {name_of(rule) for rule in RULES if "alert" in rule}
    gone = {ending(case).rule for case in ALL if case.fires and "absent" not in expr_of(case.rule)}
    assert alerts - silent - gone == set()


def test_every_mistake_in_a_rule_breaks_a_case(tmp_path):
    made = [mutant for rule in RULES for mutant in mutants(rule)]
    assert len(made) > 250
    assert survivors(made, told_cases(), tmp_path) == []


def test_every_mistake_is_one_that_the_syntax_check_does_not_see(tmp_path):
    files = []
    for number, mutant in enumerate(mutant for rule in RULES for mutant in mutants(rule)):
        files.append(tmp_path / f"{number}.yml")
        files[-1].write_text(rules_of([mutant.rule]))
    done = subprocess.run([tool("promtool"), "check", "rules", *files], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_mistake_that_no_case_looks_for_survives(tmp_path):
    """What the test above would say."""
    rule = next(rule for rule in RULES if name_of(rule) == "RedisMemoryHigh")
    unguarded = [mutant for mutant in mutants(rule) if "guard against zero" in mutant.mistake]
    careless = [case for case in told_cases() if "there is no limit" not in case.says]
    assert survivors(unguarded, careless, tmp_path) == ["RedisMemoryHigh: guard against zero dropped, 1"]


def test_a_case_that_is_not_so_fails(tmp_path):
    rule = next(rule for rule in RULES if name_of(rule) == "RedisDown")
    case = next(case for case in ALL if case.rule == "RedisDown" and case.fires)
    text = case.fires[0]
    wrong = {
        "labels": fires(text.labels | {"team": "nobody"}, text.summary, text.description),
        "summary": fires(text.labels, "Redis is fine", text.description),
        "description": fires(text.labels, text.summary, ""),
        "silence": (),
    }
    tried = [Trial(name, (rule,), (Case(case.rule, name, case.series, case.at, each),)) for name, each in wrong.items()]
    assert [name for name, said in verdicts(tried, tmp_path).items() if said] == list(wrong)


def test_the_rule_of_the_playbook_passes_the_syntax_check(tmp_path):
    file = tmp_path / "playbook.yml"
    file.write_text(rules_of([PLAYBOOK_RULE]))
    subprocess.run([tool("promtool"), "check", "rules", file], capture_output=True, check=True)


def test_the_rule_of_the_playbook_never_fires_where_errors_have_a_label_of_their_own(tmp_path):
    """Ten percent fail, and the app says of errors what kind they are: no error has a request of equal labels."""
    requests = series("ai_mesh_requests_total", slot("registry@a", service="registry"))
    kind = series("ai_mesh_errors_total", slot("registry@a", service="registry", kind="database"))
    ten_percent = {requests: "0+6x120", kind: "0+0.6x120"}
    assert not failed(verdicts(_playbook_and_ours(ten_percent, "20m", ()), tmp_path))


def test_the_rule_of_the_playbook_says_one_percent_of_whatever_share_fails(tmp_path):
    """Errors of this app have the labels of their requests, `status` too: it divides failed requests by themselves."""
    failing = slot("registry@a", service="registry", method="GET", route="/api/v1/agents", status="500")
    wrong = fires(failing | {"severity": "critical"}, "High error rate detected", "Error rate is 1%")
    ten_percent = next(case for case in ALL if case.rule == "HighErrorRate" and case.fires)
    two_percent = next(case for case in ALL if case.rule == "HighErrorRate" and "two percent" in case.says)
    found = verdicts(_playbook_and_ours(ten_percent.series, "20m", wrong), tmp_path / "ten")
    found |= verdicts(_playbook_and_ours(two_percent.series, "20m", wrong, ours=()), tmp_path / "two")
    assert not failed(found)


def test_an_alert_names_the_team_of_the_service_that_it_is_about(tmp_path):
    plan = with_teams(small_plan(), registry="data", redis_exporter="stores")
    rules = [rule for group in rule_groups(plan)["groups"] for rule in group["rules"]]
    by_name = {name_of(rule): rule for rule in rules}
    expected = {"ServiceDown": {"registry": "data", "ui": "platform"}, "RedisDown": {"redis": "stores"}}
    tried = []
    for name, teams in expected.items():
        for service, team in teams.items():
            case = next(
                case for case in ALL if case.rule == name and any(f.labels["service"] == service for f in case.fires)
            )
            text = case.fires[0]
            told_to = fires(told(text.labels["severity"], text.labels, team=team), text.summary, text.description)
            own = Case(name, f"{service} is {team}'s", case.series, case.at, told_to)
            tried.append(Trial(own.says, (by_name[name],), (own,)))
    assert not failed(verdicts(tried, tmp_path))


def _playbook_and_ours(given: Series, at: str, playbook: Fired, ours: Fired | None = None) -> list[Trial]:
    """What each of both rules makes of the same series; ours says that ten percent fail, if nothing else is given."""
    own = next(rule for rule in RULES if name_of(rule) == "HighErrorRate")
    ten_percent = next(case.fires for case in ALL if case.rule == "HighErrorRate" and case.fires)
    wanted = ten_percent if ours is None else ours
    return [
        Trial(f"{at} the playbook's", (PLAYBOOK_RULE,), (Case("HighErrorRate", "", given, at, playbook),)),
        Trial(f"{at} ours", tuple(needed(own, RULES)), (Case("HighErrorRate", "", given, at, wanted),)),
    ]


def expr_of(name: str) -> str:
    return str(next(rule["expr"] for rule in RULES if name_of(rule) == name))


def test_mutants_are_rules_with_one_difference():
    rule = next(rule for rule in RULES if name_of(rule) == "HighErrorRate")
    made = list(mutants(rule))
    assert {mutant.mistake.partition(": ")[2] for mutant in made} == {
        "comparison flipped, 1",
        "comparison flipped, 2",
        "threshold ten times as high, 1",
        "threshold ten times as high, 2",
        "condition dropped, 1",
        "fires at once",
    }
    assert all(isinstance(mutant, Mutant) and mutant.rule != rule for mutant in made)

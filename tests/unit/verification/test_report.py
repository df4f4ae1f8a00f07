"""The report never takes "not checked" for "passed", and every form of it says the same."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.conclusion import conclude, write_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.html import page
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.junit import junit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import (
    AREAS,
    CheckResult,
    ClaimVerdict,
    Report,
    ReportError,
    completed,
    read_report,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.terminal import table
from healthy import RUN_ID, HealthyMesh, plan_of
from vocabulary.answers import Answers
from vocabulary.check import CATALOGUE
from vocabulary.mesh import Mesh

ROOT = Path(__file__).resolve().parents[3]
EVIL = '<script>alert(1)</script>\x00 & "quoted"'


def result(status: str, at: int = 0, **values: Any) -> CheckResult:
    told = {"expected": "200", "actual": "503", "hint": "journalctl"} if status in ("fail", "error") else {}
    return replace(
        CheckResult("health.registry.instance", "Healthy", ("c",), status, 0.5, "vm1", f"i{at}"), **(told | values)
    )


def report(*statuses: str, planned: int | None = None) -> Report:
    checks = tuple(result(status, at) for at, status in enumerate(statuses))
    count = len(checks) if planned is None else planned
    claims = (ClaimVerdict("It works", "docs", "proven", "passed"),)
    return Report(
        RUN_ID, "acme", "systemd", "small", "1.0.0+x", "2026-01-02T03:04:05+00:00", 1.234, count, checks, claims
    )


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["pass"], 0),
        (["pass", "not_applicable"], 0),
        (["pass", "fail"], 1),
        (["pass", "fail", "error", "skip"], 1),
        (["pass", "error"], 2),
        (["pass", "skip"], 2),
        (["not_applicable"], 2),
        ([], 2),
    ],
)
def test_the_exit_code_is_zero_only_when_everything_planned_is_known_to_be_well(statuses: list[str], code: int) -> None:
    assert report(*statuses).exit_code == code


def test_fewer_results_than_planned_is_not_zero() -> None:
    assert report("pass", planned=1).exit_code == 0
    assert report("pass", planned=2).exit_code == 2


def test_a_planned_check_that_left_no_result_becomes_an_error() -> None:
    keys = [{"id": f"a.b.{at}", "host": "h", "instance": ""} for at in range(3)]
    rows = completed(keys, [{**keys[0], "status": "pass"}], [keys[1]], rounds=4)
    assert [row["status"] for row in rows] == ["pass", "error", "error"]
    assert "after 4 rounds" in rows[1]["actual"]
    assert "did not run" in rows[2]["actual"]


def test_json_has_exactly_the_fields_that_readers_rely_on_and_reads_back(tmp_path: Path) -> None:
    original = report("pass", "fail", "skip", "not_applicable", "error")
    write_files(original, tmp_path, partial=False)
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert list(document) == [
        "schema", "run_id", "mesh", "platform", "size", "version", "started", "duration_s", "planned", "counts",
        "checks", "claims", "rollout",
    ]  # fmt: skip
    assert document["counts"] == {"pass": 1, "fail": 1, "skip": 1, "not_applicable": 1, "error": 1}
    assert set(document["checks"][0]) == {
        "id", "title", "claims", "status", "seconds", "host", "instance", "expected", "actual", "hint",
    }  # fmt: skip
    assert replace(read_report(tmp_path / "report.json"), duration_s=0) == replace(original, duration_s=0)
    assert oct((tmp_path / "report.json").stat().st_mode & 0o777) == "0o600"


def test_a_run_of_some_areas_does_not_replace_the_whole_report(tmp_path: Path) -> None:
    write_files(report("pass"), tmp_path, partial=True)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["report-only.html", "report-only.json", "report-only.xml"]


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"schema": 9}', '{"schema": 1}'])
def test_a_report_that_is_none_is_one_sentence(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ReportError, match=r"report\.json"):
        read_report(path)


def test_junit_counts_add_up_and_control_characters_do_not_break_it() -> None:
    checks = (*report("pass", "fail", "skip", "not_applicable", "error").checks, result("fail", 9, actual=EVIL))
    parser = ElementTree.XMLPullParser()
    parser.feed(junit(replace(report(), checks=checks)))
    root = [element for _, element in parser.read_events()][-1]
    suite = root.find("testsuite")
    assert suite is not None
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6", "failures": "2", "errors": "1", "skipped": "2",
    }  # fmt: skip
    assert len(suite.findall("testcase")) == 6
    assert len(suite.findall("testcase/failure")) == 2


def test_the_page_escapes_what_services_say_and_loads_nothing() -> None:
    parser = TagReader()
    parser.feed(page(replace(report(), checks=(result("fail", actual=EVIL),))))
    assert "script" not in parser.tags
    assert parser.loaded == []
    assert "table" in parser.tags


def last_rollout(**proof: Any) -> dict[str, Any]:
    seen = HealthyMesh(Mesh(plan_of("small"), Answers(), RUN_ID)).answer("vm1", {"kind": "rollouts"})
    return {**seen["last"], "proof": seen["proof"] | proof}


def test_every_form_of_the_report_shows_the_proof_of_the_last_rollout(tmp_path: Path) -> None:
    told = replace(report("pass"), rollout=last_rollout())
    text = page(told)
    shown = ["update from 0.9.0+00000000 to 1.0.0+0123abcd", "<td>2000", "in order", "p99 during", "1.2, budget 2"]
    assert [words for words in shown if words not in text] == []
    line = next(line for line in table(told, {}, tmp_path, colour=False).splitlines() if line.startswith("update"))
    assert "2000 requests: 0 failed, 0 duplicated, 0 lost; p99 10 ms before, 12 ms during, 10 ms after; pass." in line
    write_files(told, tmp_path, partial=False)
    assert read_report(tmp_path / "report.json").rollout == told.rollout


def test_the_page_escapes_what_a_mesh_said_during_a_rollout_and_names_each_failure() -> None:
    failure = {"t": 1.0, "phase": "during", "kind": "read", "service": "ui", "url": "/", "what": EVIL}
    versions = {"ui": [{"version": EVIL, "first": 1.0, "last": 2.0, "count": 3}]}
    rollout = last_rollout(failed=1, failures=[failure], verdict="fail", reasons=[EVIL], versions=versions)
    text = page(replace(report("pass"), rollout=rollout))
    parser = TagReader()
    parser.feed(text)
    assert "script" not in parser.tags
    assert "<td>during<td>read<td>ui" in text


def test_a_rollout_without_load_is_shown_as_not_proven() -> None:
    rollout = last_rollout() | {"proof": None}
    assert "It ran without load, so nothing is proven of it." in page(replace(report("pass"), rollout=rollout))
    assert "Last rollout" not in page(report("pass"))


class TagReader(HTMLParser):
    """Notes every tag, and every attribute that makes a browser load something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [name for name, _ in attrs if name in ("src", "href")]


def test_the_table_shows_failures_first_with_what_was_expected_and_where_to_look() -> None:
    text = table(report("pass", "fail"), {"ui": "http://x:3005"}, Path("r.html"), colour=False)
    lines = text.splitlines()
    failure = next(at for at, line in enumerate(lines) if line.startswith("FAIL"))
    assert "health.registry.instance" in lines[failure]
    assert [line.split(maxsplit=1)[0] for line in lines[failure + 1 : failure + 4]] == ["expected", "actual", "look"]
    assert failure < next(at for at, line in enumerate(lines) if "●" in line)
    assert lines[-3].startswith("FAILED  1 passed, 1 failed")
    assert lines[-2:] == ["report  r.html", "open    ui           http://x:3005"]
    assert "\033" not in text
    assert "\033" in table(report("fail"), {}, Path("r.html"), colour=True)


def test_a_dead_host_does_not_fill_the_screen() -> None:
    text = table(report("pass", *["error"] * 40), {}, Path("r.html"), colour=False)
    assert "and 35 more for the same reason" in text
    assert len(text.splitlines()) < 25


def test_the_conclusion_binds_checks_to_claims() -> None:
    row = {"id": "plan.applied", "check": "plan.applied", "title": "t", "status": "pass", "seconds": 0.1, "host": "vm1"}
    row |= {"instance": "", "expected": "", "actual": "", "hint": ""}
    outcome = {"planned": [row], "results": [row], "waiting": [], "release": "1.0.0+x"}
    context = {"run_id": RUN_ID, "started": "2026-01-02T03:04:05+00:00", "started_s": 10.0, "round": 3}
    concluded = conclude(plan_of("small"), context, outcome, ROOT / "claims.yml", now=12.5)
    assert concluded.checks[0].claims == ("applied-plan",)
    assert (concluded.duration_s, concluded.planned, concluded.mesh) == (2.5, 1, "acme")
    assert [claim.verdict for claim in concluded.claims].count("proven") == 1


def test_causes_come_before_consequences_and_every_area_has_its_place() -> None:
    areas = {check.area for check, _ in CATALOGUE.values()}
    assert areas == set(AREAS)
    keys = [{"id": f"{area}.a.b", "host": "h", "instance": ""} for area in ("smoke", "health", "process")]
    rows = completed(keys, [], [], rounds=1)
    assert [row["id"].partition(".")[0] for row in rows] == ["process", "health", "smoke"]

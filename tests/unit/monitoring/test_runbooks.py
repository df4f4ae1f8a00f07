"""Each alert leads to a page that says what it means, the first three commands to run, and what to do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import alert_names, runbook_page
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import VARIABLES
from monitoring_tools import tool

from .plans import full_plan
from .promtool import rules_of
from .test_rule_file import exported, used

ROOT = Path(__file__).resolve().parents[3]
RUNBOOKS = ROOT / "docs" / "runbooks"
NOT_VARIABLES = {"mesh_registry", "mesh_monitor"}
"""A database and a login."""
INDEX = "README.md"
NEW_WORDS = {"ALERTS", "deriv", "max_over_time", "topk"}
"""Functions that no rule uses, and the series that Prometheus makes of alerts."""
ALERTS = alert_names(full_plan())
HEADINGS = ["## What it means", "## First three commands", "## What to do"]


def problems(alert: str, page: str) -> list[str]:
    """What a page lacks."""
    found = [] if page.startswith(f"# {alert}\n") else ["its heading is not the alert"]
    if re.findall(r"^## .*$", page, flags=re.MULTILINE) != HEADINGS:
        return [*found, "its sections are not those of a runbook"]
    commands = page.split(HEADINGS[1])[1].split(HEADINGS[2])[0]
    numbered = re.findall(r"^(\d)\. .*?(?=^\d\. |\Z)", commands, flags=re.MULTILINE | re.DOTALL)
    each = re.findall(r"^\d\. .*?(?=^\d\. |\Z)", commands, flags=re.MULTILINE | re.DOTALL)
    if numbered != ["1", "2", "3"] or not all(re.search(r"^ {7}\S", step, flags=re.MULTILINE) for step in each):
        found.append("it has not three commands")
    return found


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_page_with_three_commands(alert):
    assert problems(alert, (RUNBOOKS / runbook_page(alert)).read_text()) == []


def test_a_page_has_an_alert_and_is_in_the_list():
    pages = {file.name for file in RUNBOOKS.glob("*.md")} - {INDEX}
    assert pages == {runbook_page(alert) for alert in ALERTS}
    listed = re.findall(r"\]\(([a-z0-9-]+\.md)\)", (RUNBOOKS / INDEX).read_text())
    assert sorted(listed) == sorted(pages)


def test_a_page_without_a_third_command_is_noticed():
    page = (RUNBOOKS / runbook_page(ALERTS[0])).read_text()
    assert problems(ALERTS[0], re.sub(r"^3\. .*?(?=^## )", "", page, flags=re.MULTILINE | re.DOTALL))
    assert problems(ALERTS[0], page.replace("\n       ", "\n   "))
    assert problems(ALERTS[1], page)


@pytest.mark.parametrize(
    ("alert", "page"),
    [("HighLatencyP95", "high-latency-p95.md"), ("ServiceDown", "service-down.md"), ("Watchdog", "watchdog.md")],
)
def test_a_page_is_named_after_its_alert(alert, page):
    assert runbook_page(alert) == page


def pages() -> dict[str, str]:
    return {file.name: file.read_text() for file in RUNBOOKS.glob("*.md")}


def questions() -> list[str]:
    """What the pages ask Prometheus, with a service in place of the placeholder."""
    asked = re.findall(r"promtool query instant \S+ '([^']*)'", "".join(pages().values()))
    return [question.replace("SERVICE", "registry") for question in dict.fromkeys(asked)]


def test_a_page_asks_what_prometheus_understands_and_somebody_exports(tmp_path):
    file = tmp_path / "questions.yml"
    file.write_text(rules_of([{"record": f"q{number}", "expr": asked} for number, asked in enumerate(questions())]))
    done = subprocess.run([tool("promtool"), "check", "rules", file], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    unknown = {asked: used(asked) - exported(full_plan()) - NEW_WORDS for asked in questions()}
    assert {asked: names for asked, names in unknown.items() if names} == {}
    assert len(questions()) > 40


def test_a_page_names_what_there_is():
    text = "".join(pages().values())
    variables = {variable.name for variable in VARIABLES} | NOT_VARIABLES
    assert set(re.findall(r"\bmesh_[a-z_]+\b", text)) - variables == set()
    playbooks = {file.name for file in (ROOT / "playbooks").glob("*.yml")}
    assert set(re.findall(r"playbooks/([a-z_]+\.yml)", text)) - playbooks == set()
    assert set(re.findall(r"\]\(([a-z0-9-]+\.md)\)", text)) - set(pages()) == set()

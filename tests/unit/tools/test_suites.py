from __future__ import annotations

import sys
from pathlib import Path

import suites
from suites import Outcome, Suite

import acceptance


def outcome(suite: Suite, **values: int) -> Outcome:
    counts = {"exit_code": 0, "passed": 1, "failed": 0, "skipped": 0} | values
    return Outcome(suite, counts["exit_code"], 1.0, counts["passed"], counts["failed"], counts["skipped"], Path("log"))


UNIT = Suite("unit", "", ())
VM = Suite("vm", "", (), real_hosts=True)


def test_a_suite_that_ran_no_test_is_not_ok():
    assert outcome(UNIT, passed=0).verdict == "no test ran"
    assert outcome(UNIT).verdict == "ok"


def test_a_skip_on_real_hosts_fails_on_ci_only(monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert outcome(VM, skipped=2).verdict == "2 skipped on CI"
    assert outcome(UNIT, skipped=2).verdict == "ok"
    monkeypatch.delenv("CI")
    assert outcome(VM, skipped=2).verdict == "ok"


def test_a_failing_command_is_never_ok_whatever_it_counted():
    assert outcome(UNIT, exit_code=1).verdict == "exit code 1"


def test_counts_come_from_the_run_itself(tmp_path):
    test = tmp_path / "test_sample.py"
    test.write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "@pytest.mark.skip(reason='sample')\n"
        "def test_left_out(): pass\n"
    )
    command = (sys.executable, "-m", "pytest", "-c", "/dev/null", "-p", "no:cacheprovider", str(test))
    found = suites.run_suite(Suite("sample", "", command), tmp_path / "out")
    assert (found.passed, found.failed, found.skipped, found.exit_code) == (1, 1, 1, 1)


def test_the_cluster_is_an_acceptance_part_and_not_in_the_merge_gate():
    assert all(acceptance.PARTS[part.name] is part and part.real_hosts for part in suites.KUBERNETES)
    named = [word for part in suites.KUBERNETES for word in part.command if word.startswith("tests/k8s/")]
    assert sorted(named) == sorted(
        f"tests/k8s/{each.name}" for each in (suites.ROOT / "tests" / "k8s").glob("test_*.py")
    )
    assert not any(name.startswith("k8s") for name in suites.SUITES)

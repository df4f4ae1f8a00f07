"""A measured test is alone, in whichever process others run; and each test that proves a load is a measured one."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import machine_turns
import pytest
from machine_turns import HOSTLESS, MEASURED, Turns, turn_of

from tests.testbed.paths import REPOSITORY

HOLD = """
import sys
from pathlib import Path
from machine_turns import Turns
print("asks", flush=True)
with getattr(Turns(Path(sys.argv[1])), sys.argv[2])():
    print("holds", flush=True)
    sys.stdin.readline()
"""
PATHS = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests/support")])


class Holder:
    """Another process that takes a turn and keeps it until it is told or killed."""

    def __init__(self, folder: Path, how: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder), how],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": PATHS},
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "asks\n"
        os.set_blocking(self.process.stdout.fileno(), False)

    def holds(self, within: float) -> bool:
        assert self.process.stdout is not None
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if self.process.stdout.readline():
                return True
            time.sleep(0.02)
        return False

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def hold(tmp_path, request):
    def start(how: str) -> Holder:
        holder = Holder(tmp_path, how)
        request.addfinalizer(holder.end)
        return holder

    return start


def test_those_that_share_do_not_wait_for_each_other(hold, tmp_path):
    assert hold("shared").holds(10)
    with Turns(tmp_path).shared():
        pass


@pytest.mark.parametrize(("first", "second"), [("alone", "shared"), ("shared", "alone"), ("alone", "alone")])
def test_who_is_alone_is_alone_and_a_killed_process_holds_nobody_up(hold, first, second):
    holder, waiting = hold(first), None
    assert holder.holds(10)
    waiting = hold(second)
    assert not waiting.holds(1)
    holder.end()
    assert waiting.holds(10)


def test_who_waits_to_be_alone_goes_before_those_that_come_later(hold):
    holder = hold("shared")
    assert holder.holds(10)
    alone = hold("alone")
    assert not alone.holds(1)
    later = hold("shared")
    assert not later.holds(1), "it went past the one that waits"
    holder.end()
    assert alone.holds(10)
    assert not later.holds(0.5)
    alone.end()
    assert later.holds(10)


class Item:
    """As much of a test as the hooks look at."""

    def __init__(self, file: str, *marks: str) -> None:
        self.path, self.marks = Path(file), marks

    def get_closest_marker(self, mark: str) -> bool:
        return mark in self.marks


@pytest.mark.parametrize(
    ("marks", "may_share", "may_be_alone"), [((), True, False), ((MEASURED,), False, False), ((HOSTLESS,), True, True)]
)
def test_a_mark_decides_what_may_run_beside_a_test(hold, tmp_path, monkeypatch, marks, may_share, may_be_alone):
    monkeypatch.setattr(machine_turns, "FOLDER", tmp_path)
    with turn_of(Item("test_a.py", *marks), MEASURED):
        other = hold("shared")
        assert other.holds(10 if may_share else 1) is may_share
        other.end()
        assert hold("alone").holds(10 if may_be_alone else 1) is may_be_alone


def test_files_that_measure_come_first_and_stay_whole():
    items = [Item("a"), Item("b"), Item("b", MEASURED), Item("c"), Item("b")]
    machine_turns.pytest_collection_modifyitems(items)
    assert [str(item.path) for item in items] == ["b", "b", "b", "a", "c"]


@pytest.mark.parametrize("suite", ["vm", "compose"])
def test_both_suites_with_hosts_take_turns(suite):
    conftest = (REPOSITORY / "tests" / suite / "conftest.py").read_text()
    hooks = [name for name in vars(machine_turns) if name.startswith("pytest_")]
    assert len(hooks) == 4
    assert [name for name in hooks if f"    {name},\n" not in conftest] == []


def unmarked(source: str) -> list[str]:
    """Tests in a file of stories that call `proven` and are not measured."""
    tests = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"
    ]
    return [
        test.name
        for test in tests
        if any(isinstance(node, ast.Name) and node.id == "proven" for node in ast.walk(test))
        and "pytest.mark.measured" not in map(ast.unparse, test.decorator_list)
    ]


@pytest.mark.parametrize(
    "file", sorted((REPOSITORY / "tests/support").glob("*_stories.py")), ids=lambda path: path.stem
)
def test_each_story_that_proves_a_load_is_measured(file):
    assert unmarked(file.read_text()) == []


def test_a_story_that_lacks_the_mark_is_found():
    assert unmarked("def test_x(bench):\n    proven(bench.proof(1))\n") == ["test_x"]

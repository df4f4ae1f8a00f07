"""promtool on many small test files at once: one start, one verdict for each file."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import runbook_page
from monitoring_tools import tool

from .claims import Case, promtool_test

RUNBOOKS = "https://aimesh.example/docs/runbooks"
Rule = dict[str, Any]
LANES = 2
"""promtool takes files one after another; two of it use two cores."""


@dataclass(frozen=True)
class Trial:
    """Some rules, and cases that they are to pass, of one pace."""

    name: str
    rules: tuple[Rule, ...]
    cases: tuple[Case, ...]

    @property
    def every(self) -> str:
        return self.cases[0].every


def name_of(rule: Rule) -> str:
    return str(rule.get("alert") or rule["record"])


def needed(rule: Rule, rules: Iterable[Rule]) -> list[Rule]:
    """The rule after all the recordings that it reads, in their order."""
    recordings = {each["record"]: each for each in rules if "record" in each}
    wanted = _read_by(rule["expr"], recordings)
    return [each for name, each in recordings.items() if name in wanted and each is not rule] + [rule]


def verdicts(trials: Iterable[Trial], folder: Path, suite: str | None = None) -> dict[str, str]:
    """Trial → what promtool found wrong with it; empty: nothing."""
    files = {trial.name: _write(trial, folder) for trial in trials}
    paths = list(files.values())
    with ThreadPoolExecutor(LANES) as pool:
        said = "".join(pool.map(lambda lane: _run(paths[lane::LANES], suite), range(LANES)))
    found = dict(re.findall(r"Unit Testing:\s+(\S+)\n(.*?)(?=\nUnit Testing:|\Z)", said, flags=re.DOTALL))
    return {name: _verdict(found, path) for name, path in files.items()}


def rules_of(rules: Iterable[Rule]) -> str:
    """A rule file of one group."""
    return json.dumps({"groups": [{"name": "rules", "rules": list(rules)}]})


def _read_by(expr: str, recordings: Mapping[str, Rule]) -> set[str]:
    found = {name for name in re.findall(r"[a-z0-9_]+:[a-z0-9_:]+", expr) if name in recordings}
    return found.union(*(_read_by(recordings[name]["expr"], recordings) for name in found))


def _write(trial: Trial, folder: Path) -> Path:
    place = folder / re.sub(r"[^\w.-]", "_", trial.name)
    place.mkdir(parents=True)
    (place / "rules.yml").write_text(rules_of(trial.rules))
    has_runbook = any("runbook_url" in rule.get("annotations", {}) for rule in trial.rules)
    tests = [
        promtool_test(case, f"{RUNBOOKS}/{runbook_page(case.rule)}" if has_runbook else None) for case in trial.cases
    ]
    document = {"rule_files": ["rules.yml"], "evaluation_interval": trial.every, "tests": tests}
    (place / "tests.yml").write_text(json.dumps(document))
    return place / "tests.yml"


def _run(files: list[Path], suite: str | None) -> str:
    if not files:
        return ""
    done = subprocess.run(
        [tool("promtool", suite), "test", "rules", *files],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return f"\n{done.stdout}"


def _verdict(found: Mapping[str, str], path: Path) -> str:
    said = found[str(path)].strip()
    return "" if said == "SUCCESS" else said

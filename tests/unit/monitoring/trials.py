"""All rules of the fullest plan, with the cases of each: as they are, and with a mistake."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_groups

from .cases import ALL
from .claims import Case, early, ending
from .mutants import Mutant
from .plans import full_plan
from .promtool import Rule, Trial, name_of, needed, verdicts

RULES: tuple[Rule, ...] = tuple(rule for group in rule_groups(full_plan())["groups"] for rule in group["rules"])
ALWAYS = {"Watchdog"}
"""Fires whatever is reported, and is good for nothing else."""


def told_cases(cases: Iterable[Case] = ALL) -> list[Case]:
    """Cases as they are written, and each that says when it is too early, at that time too."""
    return [each for case in cases for each in ([case, early(case)] if case.not_yet else [case])]


def all_cases(cases: Iterable[Case] = ALL) -> list[Case]:
    """Also what is no longer reported where it fired, but for rules that take silence as the sign."""
    silence = {name_of(rule) for rule in RULES if "absent(" in rule["expr"]} | ALWAYS
    return told_cases(cases) + [ending(case) for case in cases if case.fires and case.rule not in silence]


def trials(cases: Iterable[Case]) -> Iterator[Trial]:
    """The rules as they are; one trial for the cases of a rule that have one pace."""
    by_name = {name_of(rule): rule for rule in RULES}
    for (name, every), found in _by_rule(cases).items():
        yield Trial(f"{name} every {every}", tuple(needed(by_name[name], RULES)), tuple(found))


def survivors(mutants: Iterable[Mutant], cases: Iterable[Case], folder: Path) -> list[str]:
    """Mistakes that no case notices. Most fail the first case of their rule, so the others are for the rest alone."""
    by_rule = _by_name(cases)
    alive = {mutant.mistake: mutant for mutant in mutants}
    for number, some in enumerate((slice(0, 2), slice(2, None))):
        tried = {
            mistake: list(_mutant_trials(mutant, by_rule[name_of(mutant.rule)][some]))
            for mistake, mutant in alive.items()
        }
        found = verdicts((trial for each in tried.values() for trial in each), folder / str(number))
        alive = {
            mistake: mutant
            for mistake, mutant in alive.items()
            if not any(found[trial.name] for trial in tried[mistake])
        }
    return list(alive)


def _mutant_trials(mutant: Mutant, cases: Iterable[Case]) -> Iterator[Trial]:
    rules = (*needed(mutant.rule, RULES)[:-1], mutant.rule)
    for (_, every), found in _by_rule(cases).items():
        yield Trial(f"{mutant.mistake} every {every}", rules, tuple(found))


def _by_name(cases: Iterable[Case]) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        found[case.rule].append(case)
    return found


def _by_rule(cases: Iterable[Case]) -> dict[tuple[str, str], list[Case]]:
    found: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        found[case.rule, case.every].append(case)
    return found

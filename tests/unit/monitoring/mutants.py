"""Rules with one mistake each, of the kind that people make and that no syntax check sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .promtool import Rule, name_of

FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "!="}
COMPARISON = re.compile(r"(?<=\s)(>=|<=|==|>|<)(?=\s)")
AGGREGATION = re.compile(r"(?:sum|min|max|count) by \([^)]*\) ")
THRESHOLD = re.compile(r"(?<=[<>=] )(\d[\d.]*)(?=[\s),]|$)")
ABOVE_ZERO = re.compile(r" > 0(?=\))")
GUARD = re.compile(r"\s*(and|or|unless)\b")


@dataclass(frozen=True)
class Mutant:
    """`mistake` says what is wrong with `rule`."""

    mistake: str
    rule: Rule


def mutants(rule: Rule) -> Iterator[Mutant]:
    """Every mistake that this rule has a place for."""
    name, expr = name_of(rule), rule["expr"]
    for kind, found in (
        ("comparison flipped", _flipped(expr)),
        ("aggregation dropped", _without(AGGREGATION, expr)),
        ("threshold ten times as high", _higher(expr)),
        ("guard against zero dropped", _without(ABOVE_ZERO, expr)),
        ("condition dropped", _without_conditions(expr)),
    ):
        for number, wrong in enumerate(found, 1):
            yield Mutant(f"{name}: {kind}, {number}", rule | {"expr": wrong})
    if "for" in rule:
        yield Mutant(f"{name}: fires at once", {key: value for key, value in rule.items() if key != "for"})


def _flipped(expr: str) -> Iterator[str]:
    for found in COMPARISON.finditer(expr):
        yield expr[: found.start()] + FLIPPED[found[1]] + expr[found.end() :]


def _without(what: re.Pattern[str], expr: str) -> Iterator[str]:
    for found in what.finditer(expr):
        yield expr[: found.start()] + expr[found.end() :]


def _higher(expr: str) -> Iterator[str]:
    for found in THRESHOLD.finditer(expr):
        if float(found[1]):
            yield f"{expr[: found.start()]}{float(found[1]) * 10:.10g}{expr[found.end() :]}"


def _without_conditions(expr: str) -> Iterator[str]:
    """Each line that begins with `and`, `or` or `unless` taken out, with the lines that its parentheses span."""
    lines = expr.splitlines()
    for first, line in enumerate(lines):
        if GUARD.match(line):
            last = first
            while _open(lines[first : last + 1]) > 0:
                last += 1
            rest = lines[last + 1 :]
            # What closes a call stays: the comma after its first argument, and its parenthesis.
            tail = lines[last][-1] if lines[last].endswith(",") else ""
            yield (
                "\n".join([*lines[:first], *rest])
                if not tail
                else "\n".join(lines[:first]) + tail + "\n" + "\n".join(rest)
            )


def _open(lines: list[str]) -> int:
    text = re.sub(r'"[^"]*"', "", "".join(lines))
    return text.count("(") - text.count(")")

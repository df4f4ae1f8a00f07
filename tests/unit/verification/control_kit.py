"""How a negative control breaks a healthy mesh: one kind of answer at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from healthy import Change


@dataclass(frozen=True)
class Control:
    """A change that makes `check` fail with `says` in what it shows, on the fixture plan `plan`."""

    check: str
    broken: str
    change: Change
    says: str
    plan: str = "small"


def answer_of(kind: str, change: Callable[[Any], Any], part: str = "") -> Change:
    """Changes every answer to questions of a kind whose text holds `part`; the change gets a copy and may edit it."""

    def apply(question: dict[str, Any], value: Any) -> Any:
        if question["kind"] != kind or part not in str(question):
            return value
        edited = copy.deepcopy(value)
        replaced = change(edited)
        return edited if replaced is None else replaced

    return apply


def into(*path: Any, value: Any) -> Callable[[Any], None]:
    """Sets what lies at a path of keys."""

    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


def step(name: str, **values: Any) -> Change:
    """Changes one step of a story."""

    def change(answer: Any) -> None:
        if name in answer["steps"]:
            answer["steps"][name].update(values)

    return answer_of("scenario", change)


def body(**values: Any) -> Callable[[Any], None]:
    return lambda answer: answer["json"].update(values)


def unit(name: str, sample: int = 0, **values: str) -> Change:
    part = f"'sample': {sample}" if sample else ""

    def change(units: dict[str, dict[str, str]]) -> None:
        # Another question is about other units.
        units.get(f"{name}.service", {}).update(values)

    return answer_of("units", change, part)


def every(rows: str, change: Callable[[dict[str, Any]], bool], **values: Any) -> Callable[[Any], None]:
    """Sets values in all rows of a query that `change` picks."""

    def edit(answer: Any) -> None:
        for row in answer[rows]:
            if change(row):
                row.update(values)

    return edit


def files(change: Callable[[str, dict[str, Any]], None]) -> Change:
    def edit(answer: Any) -> None:
        for path, seen in answer.items():
            change(path, seen)

    return answer_of("files", edit)


def listeners(change: Callable[[list[dict[str, Any]]], Any]) -> Change:
    return answer_of("listeners", change)


def hba(**values: Any) -> Change:
    return answer_of("postgresql", every("hba", lambda row: row["type"] == "host", **values))


def without_port(port: int) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda rows: [row for row in rows if row["port"] != port]


def extra(**values: Any) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    row = {
        "address": "0.0.0.0",
        "port": 9999,
        "pid": 5,
        "comm": "mesh",
        "unit": "aimesh-registry@a.service",
        "lineage": [5, 1],
    }
    return lambda rows: [*rows, row | values]


def everywhere(port: int) -> Callable[[list[dict[str, Any]]], None]:
    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row["port"] == port:
                row["address"] = "0.0.0.0"

    return change


def secret_file_opened(path: str, seen: dict[str, Any]) -> None:
    if "credentials" in path and seen["kind"] == "file":
        seen["mode"] = "0644"


def state_opened(path: str, seen: dict[str, Any]) -> None:
    if path.endswith("applied-plan.json"):
        seen["mode"] = "0644"


def foreign_owner(path: str, seen: dict[str, Any]) -> None:
    if seen["kind"] == "file":
        seen["owner"] = "nobody"


def rewritten(_: str, seen: dict[str, Any]) -> None:
    seen["changed"] += 1000


def missing_file(answer: dict[str, Any]) -> None:
    answer[next(path for path, seen in answer.items() if seen["kind"] == "file")] = None


def dropped(key: str) -> Callable[[Any], None]:
    """Takes the last entry out of a list."""

    def change(document: Any) -> None:
        document[key].pop()

    return change


def all_processes(**values: Any) -> Change:
    def change(table: Any) -> None:
        for process in table.values():
            process.update(values)

    return answer_of("processes", change)


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(question: dict[str, Any], value: Any) -> Any:
        for each in changes:
            value = each(question, value)
        return value

    return change

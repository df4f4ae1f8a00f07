"""Answers for people, as text or aligned columns, or for programs, as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec


def answer(options: argparse.Namespace, value: Any, text: str) -> int:
    """Prints the one that was asked for; returns the exit code of a success."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() if options.json else text)
    return 0


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Columns are keys of a row, and in capitals the headings; None shows as a dash."""
    lines = [[name.upper().replace("_", " ") for name in columns]]
    lines += [[_cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A database row with times and ids as text."""
    return {name: moment(value) if isinstance(value, datetime) else value for name, value in row.items()}


def moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(value: Any) -> str:
    """One line that a terminal shows as it is, whatever somebody registered."""
    text = "-" if value is None else str(value)
    return "".join(char if char.isprintable() else "?" for char in text)

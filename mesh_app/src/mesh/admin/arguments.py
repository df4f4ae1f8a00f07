"""Arguments that several verbs of `mesh admin` take, checked before anything is touched."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from mesh.access.jose import fit_subject
from mesh.access.tokens import GIVEN_ROLES

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
Perform = Callable[[argparse.Namespace, Mapping[str, str]], int]


def add_verb(verbs: Any, name: str, perform: Perform, purpose: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=purpose, description=purpose)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(perform=perform)
    return parser


def add_noun(nouns: Any, name: str, purpose: str) -> Any:
    return nouns.add_parser(name, help=purpose).add_subparsers(dest="verb", required=True, metavar="VERB")


def add_caller(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subject", required=True, type=_subject, help="who will use it, as logs name them")
    parser.add_argument("--role", required=True, choices=GIVEN_ROLES)


def identifier(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:64]!r} is not an id; 'list' shows the ids") from None


def duration(low: str, high: str) -> Callable[[str], int]:
    """A check for texts such as 30d, 12h, 15m or 90s, which gives seconds from `low` to `high`."""

    def check(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}[smhd]", text) or not _seconds(low) <= _seconds(text) <= _seconds(high):
            raise argparse.ArgumentTypeError(f"{text[:64]!r}; give {low} to {high}, such as 30d, 12h or 15m")
        return _seconds(text)

    return check


def _seconds(text: str) -> int:
    return int(text[:-1]) * _UNITS[text[-1]]


def _subject(text: str) -> str:
    if not fit_subject(text):
        raise argparse.ArgumentTypeError(f"{text[:64]!r} is not 1 to 255 printable ASCII characters, trimmed")
    return text

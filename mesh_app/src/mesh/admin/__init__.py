"""`mesh admin`: what an operator does to a mesh by hand. One module per noun; each adds its own verbs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from mesh.admin import agents, keys, policies, reencrypt, token
from mesh.web.problem import ProblemError

NOUNS = (keys, token, agents, policies, reencrypt)


def add_nouns(parser: argparse.ArgumentParser) -> None:
    """Every verb sets `perform`, a function of options and environment that returns the exit code."""
    nouns = parser.add_subparsers(dest="noun", required=True, metavar="NOUN")
    for noun in NOUNS:
        noun.add(nouns)


def run_admin(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0 when it is done, 1 when it cannot be; raises ConfigError for a wrong environment."""
    try:
        code: int = options.perform(options, env)
    except ProblemError as problem:
        print(f"mesh admin {options.noun}: {problem.detail}", file=sys.stderr)
        return 1
    return code

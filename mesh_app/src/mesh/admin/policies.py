"""`mesh admin policies`: the rules in a file, before or after the policy service takes them up."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mesh.admin.arguments import add_noun, add_verb
from mesh.admin.output import answer, table
from mesh.core.secrets import ConfigError
from mesh.web.problem import ProblemError

_COLUMNS = ("id", "kind", "effect", "reason")


def add(nouns: Any) -> None:
    verbs = add_noun(nouns, "policies", "policy rules: show, check")
    add_verb(verbs, "show", _show, "the rules of MESH_POLICY_FILE and their version")
    check = add_verb(verbs, "check", _check, "say whether the policy service would take a file's rules")
    check.add_argument("file", type=Path, metavar="FILE")


def _show(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    from mesh.policy.rules import load_rules

    path = Path(env.get("MESH_POLICY_FILE") or "")
    if not path.name:
        raise ConfigError("MESH_POLICY_FILE is not set; point it to the JSON file with the policy rules.")
    about = {"version": load_rules(path).version, "file": str(path)}
    rules: list[dict[str, Any]] = msgspec.json.decode(path.read_bytes())["rules"]
    text = f"version {about['version']}\nfile    {path}\n\n{table(_COLUMNS, rules)}"
    return answer(options, {**about, "rules": rules}, text)


def _check(options: argparse.Namespace, _env: Mapping[str, str]) -> int:
    from mesh.policy.rules import load_rules

    try:
        version = load_rules(options.file).version
    except ConfigError as error:
        raise ProblemError(422, str(error)) from None
    return answer(options, {"version": version}, f"The rules in {options.file} are valid: version {version}.")

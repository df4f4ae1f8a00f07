"""`mesh admin agents`: the agents of this mesh, straight from the database."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from mesh.admin.arguments import add_noun, add_verb, identifier
from mesh.admin.output import answer, plain, table
from mesh.web.problem import ProblemError

_LIST = """
    SELECT id, namespace, name, type, vendor, model, updated_at FROM agents
    WHERE origin = '' AND deleted_at IS NULL AND (namespace <> 'aimesh-verify' OR $2)
      AND ($1 = '' OR strpos(lower(concat_ws(' ', id, name, description, model)), lower($1)) > 0) ORDER BY id
"""
_DELETE = """
    UPDATE agents SET deleted_at = clock_timestamp(), updated_at = clock_timestamp(), version = version + 1
    WHERE origin = '' AND id = $1 AND deleted_at IS NULL RETURNING id, name
"""
_COLUMNS = ("id", "namespace", "name", "type", "vendor", "model", "updated_at")


def add(nouns: Any) -> None:
    verbs = add_noun(nouns, "agents", "agents of this mesh: list, delete")
    show = add_verb(verbs, "list", _list, "agents in order of registration")
    show.add_argument(
        "--q", default="", metavar="TEXT", help="only those with this text in id, name, description, model"
    )
    show.add_argument("--harness", action="store_true", help="the verification harness's own as well")
    add_verb(verbs, "delete", _delete, "remove an agent, here and at the peers").add_argument(
        "id", type=identifier, metavar="ID"
    )


def _list(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    from mesh.admin.database import query

    rows = [plain(row) for row in query(env, _LIST, options.q, options.harness)]
    return answer(options, rows, table(_COLUMNS, rows))


def _delete(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    from mesh.admin.database import query

    rows = [plain(row) for row in query(env, _DELETE, options.id)]
    if not rows:
        raise ProblemError(404, f"there is no agent {options.id} of this mesh; 'mesh admin agents list' shows all.")
    return answer(options, rows[0], f"Agent {options.id} is deleted; peers learn of it with their next pull.")

"""`mesh admin keys`: API keys."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mesh.admin.arguments import add_caller, add_noun, add_verb, duration, identifier
from mesh.admin.output import answer, moment, plain, table
from mesh.web.problem import ProblemError

_INSERT = """
    INSERT INTO api_keys (id, subject, role, digest, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_LIST = """
    SELECT id, subject, role, created_at, created_by, expires_at, revoked_at, last_used_at,
           CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
                WHEN expires_at <= clock_timestamp() THEN 'expired' ELSE 'valid' END AS status
    FROM api_keys ORDER BY id
"""
_REVOKE = """
    UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE id = $1
    RETURNING id, subject, revoked_at
"""
_COLUMNS = ("id", "subject", "role", "status", "created_at", "created_by", "expires_at", "last_used_at")


def add(nouns: Any) -> None:
    verbs = add_noun(nouns, "keys", "API keys: create, list, revoke")
    create = add_verb(verbs, "create", _create, "make a key and print it, once")
    add_caller(create)
    create.add_argument(
        "--expires", type=duration("1m", "3650d"), metavar="DURATION", help="such as 30d; without it, never"
    )
    add_verb(verbs, "list", _list, "all keys, without their secrets")
    add_verb(verbs, "revoke", _revoke, "make a key worthless, within five seconds").add_argument(
        "id", type=identifier, metavar="ID"
    )


def _create(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    from mesh.access.api_keys import make_key
    from mesh.admin.database import query

    key = make_key()
    expires = datetime.now(UTC) + timedelta(seconds=options.expires) if options.expires else None
    query(env, _INSERT, key.id, options.subject, options.role, key.digest, _operator(), expires)
    print(f"Key {key.id} for {options.subject}; it is not shown again.", file=sys.stderr)
    about = {"id": key.id, "subject": options.subject, "role": options.role, "key": key.text}
    return answer(options, {**about, "expires_at": moment(expires) if expires else None}, key.text)


def _list(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    from mesh.admin.database import query

    rows = [plain(row) for row in query(env, _LIST)]
    return answer(options, rows, table(_COLUMNS, rows))


def _revoke(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    from mesh.admin.database import query

    rows = [plain(row) for row in query(env, _REVOKE, options.id)]
    if not rows:
        raise ProblemError(404, f"there is no key {options.id}; 'mesh admin keys list' shows all.")
    return answer(
        options, rows[0], f"Key {options.id} of {rows[0]['subject']} is revoked since {rows[0]['revoked_at']}."
    )


def _operator() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"

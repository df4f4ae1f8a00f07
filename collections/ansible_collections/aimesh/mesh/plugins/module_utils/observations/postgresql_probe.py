"""Asks the running PostgreSQL, over its own socket, as the user that owns the cluster."""

from __future__ import annotations

import json
from typing import Any

from .base import Environment, ProbeError, Question
from .command import run

MARK = "aimesh-row:"
ROW = "SELECT 'MARKNAME:' || coalesce(json_agg(t)::text, '[]') FROM (QUERY) AS t;"


def answer_postgresql(question: Question, environment: Environment) -> dict[str, Any]:
    """`queries` {name: SELECT} → {name: list of rows as objects}, in one psql.

    Also takes `program` (psql's path), `run_as`, `socket_dir`, `port`, `database`; with `container` the program is that
    container's, started in it. Raises ProbeError when the server does not let in or a query fails.
    """
    argv = argv_of(question)
    run_as: str | None = str(question["run_as"])
    extra = {"PGCONNECT_TIMEOUT": str(max(2, int(environment.timeout))), "PGAPPNAME": "aimesh-verify"}
    if question.get("container"):
        words = [f"--env={name}={value}" for name, value in extra.items()]
        argv = ["docker", "exec", "--interactive", f"--user={run_as}", *words, str(question["container"]), *argv]
        run_as = None
    script = script_of(question, environment.timeout)
    ended = run(argv, timeout=environment.timeout, stdin=script, user=run_as, extra=extra)
    return rows_of(ended["rc"], ended["stdout"], ended["stderr"])


def script_of(question: Question, timeout: float) -> str:
    """What psql reads: every query, its rows as JSON behind a mark."""
    script = ["\\set ON_ERROR_STOP on", f"SET statement_timeout = {int(timeout * 1000)};"]
    queries: dict[str, str] = dict(question["queries"])
    for name, query in queries.items():
        script.append(ROW.replace("MARK", MARK).replace("NAME", name).replace("QUERY", query))
    return "\n".join(script) + "\n"


def argv_of(question: Question) -> list[str]:
    """psql over the server's own socket."""
    argv = [str(question["program"]), "-X", "-q", "-A", "-t", "-w", "-h", str(question["socket_dir"])]
    return [*argv, "-p", str(question["port"]), "-d", str(question["database"]), "-U", str(question["login"])]


def rows_of(code: int, stdout: str, stderr: str) -> dict[str, Any]:
    """Rows by query out of what psql printed. Raises ProbeError when it failed."""
    if code != 0:
        lines = [line for line in stderr.splitlines() if line.strip()]
        raise ProbeError(f"psql ended with {code}: {lines[-1] if lines else 'no message'}")
    rows: dict[str, Any] = {}
    # A JSON array of several rows holds line breaks, so what follows a mark reaches to the next mark.
    for chunk in ("\n" + stdout).split(f"\n{MARK}")[1:]:
        name, _, document = chunk.partition(":")
        rows[name] = json.loads(document)
    return rows

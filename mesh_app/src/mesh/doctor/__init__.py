"""`mesh doctor`: one line for each thing that a service needs, with what to do where it is not well."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

import msgspec

from mesh.core.secrets import ConfigError
from mesh.doctor import configuration, services, stores
from mesh.doctor.finding import FAIL, OK, WARN, Check, Finding

_COLOURS = {OK: "32", WARN: "33", FAIL: "31"}


def run_doctor(env: Mapping[str, str], *, as_json: bool = False) -> int:
    """Prints the findings, `ok`, `WARN` or `FAIL`; returns 1 when one of them is a FAIL, else 0."""
    checks = [*configuration.checks(env), *stores.checks(env), *services.checks(env)]
    findings = asyncio.run(_examine(checks))
    failed = any(finding.level == FAIL for finding in findings)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode({"ok": not failed, "findings": findings}), indent=2).decode())
        return int(failed)
    width = max(len(finding.subject) for finding in findings)
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for finding in findings:
        level = f"{finding.level:<4}"
        level = f"\x1b[{_COLOURS[finding.level]}m{level}\x1b[0m" if coloured else level
        print(f"{level}  {finding.subject:<{width}}  {finding.text}")
    return int(failed)


async def _examine(checks: list[Check]) -> list[Finding]:
    """All at once, so that several that do not answer cost one wait; the order stays."""
    results = await asyncio.gather(*map(_result, checks))
    return [finding for findings in results for finding in findings]


async def _result(check: Check) -> list[Finding]:
    try:
        return await check.examine()
    except ConfigError as error:
        return [Finding(FAIL, check.subject, str(error))]

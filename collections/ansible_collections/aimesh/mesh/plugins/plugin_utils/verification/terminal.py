"""The report as one table on the terminal: what is wrong first, one line per area, totals, and where to look on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.proof import sentence
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import CheckResult, Report

COLOURS = {
    "pass": "32",
    "fail": "31;1",
    "error": "33;1",
    "skip": "33",
    "not_applicable": "90",
    "head": "1",
    "dim": "90",
}
WORDS = {"pass": "pass", "fail": "FAIL", "error": "NOT CHECKED", "skip": "skipped", "not_applicable": "n/a"}
ORDER = ("fail", "error", "skip")
Paint = Callable[[str, str], str]
SHOWN_ALIKE = 5
"""Results with the same reason are listed up to this many, so that one dead host does not fill the screen."""


def table(report: Report, urls: Mapping[str, str], path: Path, *, colour: bool) -> str:
    """The whole text, without a line break at its end."""
    paint = _painter(colour)
    lines = [
        "",
        paint("head", f"Verification of {report.mesh}") + f" · {report.platform}, {report.size}, {report.version}",
        "",
    ]
    lines += _troubles(report, paint)
    lines += _areas(report, paint)
    lines += ["", _totals(report, paint), *_rollout(report), f"report  {path}"]
    lines += [
        f"{'open' if not at else '':6}  {service:<12} {url}" for at, (service, url) in enumerate(sorted(urls.items()))
    ]
    return "\n".join(lines)


def _painter(colour: bool) -> Paint:
    return (lambda kind, text: f"\033[{COLOURS[kind]}m{text}\033[0m") if colour else (lambda _kind, text: text)


def _troubles(report: Report, paint: Paint) -> list[str]:
    lines: list[str] = []
    for status in ORDER:
        by_reason: dict[tuple[str, str], list[CheckResult]] = {}
        for check in report.checks:
            if check.status == status:
                by_reason.setdefault((check.actual, check.hint if status == "fail" else ""), []).append(check)
        for (actual, hint), checks in by_reason.items():
            lines += [_headline(check, paint) for check in checks[:SHOWN_ALIKE]]
            if len(checks) > SHOWN_ALIKE:
                lines.append(f"{'':13}and {len(checks) - SHOWN_ALIKE} more for the same reason")
            if checks[0].expected and len(checks) == 1:
                lines.append(f"{'':13}expected  {checks[0].expected}")
            lines.append(f"{'':13}{'actual' if status == 'fail' else 'reason':8}  {actual}")
            if hint or checks[0].hint:
                lines.append(f"{'':13}look at   {hint or checks[0].hint}")
            lines.append("")
    return lines


def _headline(check: CheckResult, paint: Paint) -> str:
    where = f"{check.host}{f', {check.instance}' if check.instance else ''}"
    return f"{paint(check.status, f'{WORDS[check.status]:<12}')} {check.id}  {paint('dim', f'{check.title} ({where})')}"


def _areas(report: Report, paint: Paint) -> list[str]:
    areas: dict[str, list[CheckResult]] = {}
    for check in report.checks:
        areas.setdefault(check.id.partition(".")[0], []).append(check)
    width = max([len(area) for area in areas] or [4])
    lines = []
    for area, checks in areas.items():
        worst = next(
            (status for status in (*ORDER, "pass", "not_applicable") if any(c.status == status for c in checks)), ""
        )
        numbers = "  ".join(
            _number(checks, status, paint) for status in WORDS if any(c.status == status for c in checks)
        )
        lines.append(f"{paint(worst, '●')} {area:<{width}}  {numbers}")
    return lines


def _number(checks: list[CheckResult], status: str, paint: Paint) -> str:
    return paint(status, f"{sum(check.status == status for check in checks):>3} {WORDS[status]}")


def _rollout(report: Report) -> list[str]:
    """The last rollout in one line, where there was one under load."""
    rollout = report.rollout
    if not rollout or not rollout.get("proof"):
        return []
    return [f"{rollout['verb']:<6}  {rollout['from']} → {rollout['to']}: {sentence(rollout['proof'])}"]


def _totals(report: Report, paint: Paint) -> str:
    counts = report.counts
    claims = [claim.verdict for claim in report.claims]
    words = [f"{counts['pass']} passed", f"{counts['fail']} failed", f"{counts['error'] + counts['skip']} not checked"]
    words.append(f"{counts['not_applicable']} not applicable")
    verdict = {0: ("pass", "PROVEN"), 1: ("fail", "FAILED"), 2: ("error", "NOT PROVEN")}[report.exit_code]
    proven = f"{claims.count('proven')} of {len(claims)} promises proven" if claims else ""
    told = f"{', '.join(words)}; {report.planned} planned; {proven}; {report.duration_s:.1f} s"
    return f"{paint(verdict[0], verdict[1])}  {told}"

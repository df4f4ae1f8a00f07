"""The report as one self-contained page."""

from __future__ import annotations

from html import escape

from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.report import CheckResult, Report
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.rollout_html import rollout_section

WORDS = {"pass": "pass", "fail": "fail", "skip": "skipped", "not_applicable": "n/a", "error": "not checked"}
VERDICTS = {0: ("pass", "Proven"), 1: ("fail", "Failed"), 2: ("error", "Not proven")}
FIRST = ("fail", "error", "skip", "pass", "not_applicable")
STYLE = """
:root{color-scheme:light dark;--line:#8884;--dim:#777}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--dim)}
code{font:13px/1.4 ui-monospace,monospace}
small,.dim{color:var(--dim)}
.tag{display:inline-block;min-width:5.5rem;text-align:center;border-radius:.25rem;padding:.05rem .4rem;font-size:.8rem}
.pass,.proven{background:#1a7f3722;color:#1a7f37}
.fail,.contradicted{background:#c6282833;color:#c62828;font-weight:600}
.error,.skip,.not_proven{background:#b26a0033;color:#b26a00}
.not_applicable{background:#8883;color:var(--dim)}
dl{display:flex;flex-wrap:wrap;gap:.25rem 2rem;margin:.75rem 0}dt{color:var(--dim)}dd{margin:0}
dl div{display:flex;gap:.5rem}
"""


def page(report: Report) -> str:
    """The HTML text; everything a service said is escaped, and nothing is loaded from anywhere."""
    kind, word = VERDICTS[report.exit_code]
    facts = {
        "platform": report.platform, "size": report.size, "release": report.version, "started": report.started,
        "took": f"{report.duration_s:.1f} s", "run": report.run_id, "planned": str(report.planned),
    } | {WORDS[status]: str(number) for status, number in report.counts.items()}  # fmt: skip
    head = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{word}: {escape(report.mesh)}</title><style>{STYLE}</style></head><body>\n"
        f'<h1>{escape(report.mesh)} <span class="tag {kind}">{word}</span></h1><dl>{head}</dl>\n'
        f"{_checks(report)}{rollout_section(report.rollout)}{_claims(report)}</body></html>\n"
    )


def _checks(report: Report) -> str:
    ordered = sorted(report.checks, key=lambda check: FIRST.index(check.status))
    rows = "\n".join(_row(check) for check in ordered)
    return f"<h2>Checks</h2><table><tr><th>result<th>check<th>where<th>seconds</tr>\n{rows}\n</table>\n"


def _row(check: CheckResult) -> str:
    told = ""
    if check.status != "pass":
        words = {"expected": check.expected, "actual": check.actual, "look at": check.hint}
        told = "".join(
            f'<br><span class="dim">{name}</span> <code>{escape(text)}</code>' for name, text in words.items() if text
        )
    where = escape(f"{check.host} {check.instance}".strip())
    return (
        f'<tr><td><span class="tag {check.status}">{WORDS[check.status]}</span>'
        f"<td>{escape(check.title)}<br><small>{escape(check.id)}</small>{told}<td>{where}<td>{check.seconds:.2f}</tr>"
    )


def _claims(report: Report) -> str:
    if not report.claims:
        return ""
    rows = "\n".join(
        f'<tr><td><span class="tag {claim.verdict}">{claim.verdict.replace("_", " ")}</span>'
        f"<td>{escape(claim.claim)}<br><small>{escape(claim.source)}</small><td><small>{escape(claim.evidence)}</small></tr>"
        for claim in report.claims
    )
    return f"<h2>Promises</h2><table><tr><th>verdict<th>promise<th>evidence</tr>\n{rows}\n</table>\n"

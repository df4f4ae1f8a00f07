"""The last rollout and its proof, as a section of the report's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

PHASES = ("before", "during", "after")


def rollout_section(rollout: Mapping[str, Any] | None) -> str:
    """HTML text; empty where there was no rollout. Everything that a mesh said is escaped."""
    if not rollout:
        return ""
    title = f"Last rollout: {rollout['verb']} from {rollout['from']} to {rollout['to']}"
    head = f"<h2>{escape(title)}</h2>"
    proof = rollout.get("proof")
    if not proof:
        return f'{head}<p class="dim">It ran without load, so nothing is proven of it.</p>\n'
    verdict = "pass" if proof["verdict"] == "pass" else "fail"
    facts = {
        name.replace("_", " "): proof.get(name)
        for name in (
            "sent",
            "failed",
            "duplicated",
            "lost",
            "never_sent",
            "missed_events",
            "reconnects",
            "longest_stream_s",
        )
    }
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{_number(value)}</dd></div>" for name, value in facts.items())
    reasons = "".join(f"<p>{escape(str(reason))}</p>" for reason in proof.get("reasons", []))
    return (
        f'{head}<p><span class="tag {verdict}">{verdict}</span></p><dl>{listed}</dl>{reasons}\n'
        f"{_latencies(proof)}{_versions(proof)}{_failures(proof)}"
    )


def _latencies(proof: Mapping[str, Any]) -> str:
    rows = [["all requests", proof.get("sent"), proof.get("failed"), None, *_percentiles(proof)]]
    for kind, told in proof.get("by_kind", {}).items():
        rows.append([kind, told["sent"], told["failed"], told["not_offered"], *_percentiles(told)])
    heads = [
        "kind",
        "sent",
        "failed",
        "not offered",
        *(f"{share} {phase}" for share in ("p50", "p99") for phase in PHASES),
    ]
    budget = f"p99 during ÷ before: {_number(proof.get('p99_ratio'))}, budget {_number(proof.get('p99_factor'))}"
    return _table(heads, rows) + f'<p class="dim">Milliseconds. {budget}; it is reported and never a verdict.</p>\n'


def _percentiles(told: Mapping[str, Any]) -> list[Any]:
    return [(told.get(name) or {}).get(phase) for name in ("p50_ms", "p99_ms") for phase in PHASES]


def _versions(proof: Mapping[str, Any]) -> str:
    order = "in order" if proof.get("versions_in_order") else "out of order"
    rows = [
        [service, " → ".join(f"{row['version']} ({row['count']})" for row in seen)]
        for service, seen in proof.get("versions", {}).items()
    ]
    return _table(["service", f"versions seen, {order} (answers)"], rows)


def _failures(proof: Mapping[str, Any]) -> str:
    rows = [
        [failure["phase"], failure["kind"], failure["service"], failure["url"], failure["what"]]
        for failure in proof.get("failures", [])
    ]
    return _table(["phase", "kind", "service", "path", "what"], rows) if rows else ""


def _table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    head = "".join(f"<th>{escape(name)}" for name in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{_number(cell)}" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}\n</table>\n"


def _number(value: Any) -> str:
    """A cell: numbers short, what is unknown as a dash, anything else escaped."""
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else escape(str(value))

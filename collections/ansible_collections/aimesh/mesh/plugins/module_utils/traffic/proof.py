"""Ledger, marks and what the server stored → the proof of a rollout: numbers, versions, verdict. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .comparison import Stored
from .events import Seen
from .generator import Observed
from .ledger import AGENT, EVENTS, EXPORT, HEALTH, KINDS, SAMPLE, Entry

SCHEMA = 1
PHASES = ("before", "during", "after")
SHOWN_FAILURES = 20
LEAVING_S = 2.0
"""What was acknowledged this shortly before a stream ended for good may not have been sent to it yet."""


@dataclass(frozen=True)
class Marks:
    """Wall-clock seconds at which the rollout began and ended, None where it did not; `release` is the wanted one."""

    during: float | None = None
    after: float | None = None
    release: str = ""

    def phase(self, entry: Entry) -> str:
        """`during` is whatever the rollout may have touched: also what was still in hand when it began."""
        if self.after is not None and entry.t >= self.after:
            return "after"
        return "during" if self.during is not None and entry.ended >= self.during else "before"


def prove(
    rollout: str, entries: Sequence[Entry], marks: Marks, observed: Observed | None, p99_factor: float
) -> dict[str, Any]:
    """The proof as it is stored. `observed` is None when the load did not live to its end.

    Verdict: pass when nothing failed, nothing is stored twice or missing, nothing is stored that was not sent, no event
    was missed and versions came in order. Latency is reported and never a verdict.
    """
    first = [entry for entry in entries if not entry.again]
    asked = [entry for entry in first if not entry.unavailable]
    failures = [entry for entry in asked if entry.failed]
    stored = _stored(entries, observed.stored if observed else Stored())
    events = observed.events if observed else []
    missed = {seen.service: missed_events(entries, seen) for seen in events}
    versions = versions_seen(entries)
    disorder = out_of_order(entries, marks)
    latency = _percentiles([entry for entry in asked if entry.kind not in (EVENTS, EXPORT)], marks)
    document = {
        "schema": SCHEMA,
        "rollout": rollout,
        "release": marks.release,
        "started": min((entry.t for entry in entries), default=None),
        "marks": {"during": marks.during, "after": marks.after},
        "sent": len(asked),
        "failed": len(failures),
        "failed_by_phase": {phase: sum(marks.phase(e) == phase for e in failures) for phase in PHASES},
        "repeated": sum(entry.again for entry in entries),
        **stored,
        "missed_events": sum(len(names) for names in missed.values()),
        "reconnects": sum(seen.reconnects for seen in events),
        "streams_cut": sum(seen.cut for seen in events),
        "longest_stream_s": _longest_stream(entries),
        **latency,
        "p99_factor": p99_factor,
        "p99_ratio": _ratio(latency["p99_ms"]),
        "by_kind": {kind: _of_kind(first, kind, marks) for kind in KINDS if any(e.kind == kind for e in first)},
        "versions": versions,
        "versions_in_order": not disorder,
        "failures": [_shown(entry, marks) for entry in failures[:SHOWN_FAILURES]],
        "left_behind": observed.left_behind if observed else "",
    }
    reasons = _reasons(document, observed, missed, disorder)
    return document | {"verdict": "fail" if reasons else "pass", "reasons": reasons}


def _stored(entries: Iterable[Entry], stored: Stored) -> dict[str, int]:
    """Counts of records stored twice, lost after they were acknowledged, and never sent."""
    counts = {"acknowledged": 0, "duplicated": 0, "lost": 0, "never_sent": 0}
    known = {AGENT: stored.agents, SAMPLE: stored.samples}
    sent: dict[str, set[str]] = {AGENT: set(), SAMPLE: set()}
    acknowledged: dict[str, set[str]] = {AGENT: set(), SAMPLE: set()}
    for entry in entries:
        if entry.kind in known and entry.id:
            sent[entry.kind].add(entry.id)
            if entry.status and not entry.what:
                acknowledged[entry.kind].add(entry.id)
    for kind, found in known.items():
        counts["acknowledged"] += len(acknowledged[kind])
        if stored.problem:
            continue
        counts["duplicated"] += sum(number - 1 for number in found.values())
        counts["lost"] += sum(name not in found for name in acknowledged[kind])
        counts["never_sent"] += sum(name not in sent[kind] for name in found)
    return counts


def missed_events(entries: Iterable[Entry], seen: Seen) -> list[str]:
    """Agents acknowledged while a client followed the stream, of which it never heard."""
    if seen.connected is None:
        return []
    until = math.inf if seen.left is None else seen.left - LEAVING_S
    wanted = {
        entry.id: None
        for entry in entries
        if entry.kind == AGENT and not entry.what and entry.status and entry.t > seen.connected and entry.ended <= until
    }
    return [name for name in wanted if name not in seen.names]


def versions_seen(entries: Iterable[Entry]) -> dict[str, list[dict[str, Any]]]:
    """Service → its versions in the order of their first answer: `{version, first, last, count}`."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in _answered(entries):
        of_service = found.setdefault(entry.service, {})
        row = of_service.setdefault(entry.version, {"version": entry.version, "first": entry.ended, "count": 0})
        row["last"] = entry.ended
        row["count"] += 1
    return {service: list(rows.values()) for service, rows in sorted(found.items())}


def out_of_order(entries: Iterable[Entry], marks: Marks) -> list[str]:
    """A sentence for each instance that went back to a version it had left, or had another one after the rollout."""
    course: dict[str, list[str]] = {}
    late: dict[str, str] = {}
    for entry in _answered(entries):
        name = entry.instance or entry.service
        versions = course.setdefault(name, [])
        if not versions or versions[-1] != entry.version:
            versions.append(entry.version)
        if marks.release and marks.phase(entry) == "after" and entry.version != marks.release:
            late.setdefault(name, entry.version)
    told = [
        f"{name} went back to a version it had left: {' → '.join(versions)}."
        for name, versions in sorted(course.items())
        if len(set(versions)) < len(versions)
    ]
    return told + [
        f"{name} answered as {version} after the rollout to {marks.release} had ended."
        for name, version in sorted(late.items())
    ]


def _answered(entries: Iterable[Entry]) -> list[Entry]:
    seen = [entry for entry in entries if entry.kind == HEALTH and entry.status == 200 and entry.version]
    return sorted(seen, key=lambda entry: entry.ended)


def _percentiles(entries: Iterable[Entry], marks: Marks) -> dict[str, dict[str, float | None]]:
    """p50 and p99 in milliseconds by phase, of all requests that had an answer; None where there was none."""
    by_phase: dict[str, list[float]] = {phase: [] for phase in PHASES}
    for entry in entries:
        if entry.status:
            by_phase[marks.phase(entry)].append(entry.ms)
    return {
        f"p{share}_ms": {phase: _percentile(values, share) for phase, values in by_phase.items()} for share in (50, 99)
    }


def _percentile(values: list[float], share: int) -> float | None:
    """The smallest value that `share` of a hundred values do not exceed."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]


def _ratio(p99: Mapping[str, float | None]) -> float | None:
    before, during = p99["before"], p99["during"]
    return round(during / before, 2) if before and during is not None else None


def _of_kind(entries: Iterable[Entry], kind: str, marks: Marks) -> dict[str, Any]:
    mine = [entry for entry in entries if entry.kind == kind]
    asked = [entry for entry in mine if not entry.unavailable]
    told: dict[str, Any] = {
        "sent": len(asked),
        "failed": sum(entry.failed for entry in asked),
        "not_offered": len(mine) - len(asked),
    }
    # How long a stream of events lasts says nothing of its speed.
    return told if kind == EVENTS else told | _percentiles(asked, marks)


def _longest_stream(entries: Iterable[Entry]) -> float:
    """Seconds that the longest stream of events lasted; 0 where there was none."""
    return round(max((e.ms for e in entries if e.kind == EVENTS and e.status == 200), default=0.0) / 1000, 1)


def _shown(entry: Entry, marks: Marks) -> dict[str, Any]:
    where = {"service": entry.service, "url": entry.url.partition("?")[0]}
    return {"t": entry.t, "phase": marks.phase(entry), "kind": entry.kind, **where, "what": entry.what}


def _reasons(
    document: Mapping[str, Any], observed: Observed | None, missed: Mapping[str, list[str]], disorder: list[str]
) -> list[str]:
    reasons = []
    if observed is None:
        reasons.append("The load did not live to its end, so what was stored was not compared.")
    elif observed.ended:
        reasons.append(f"The load ended before it was asked to: {observed.ended}.")
    if not document["sent"]:
        reasons.append("No request was sent.")
    if observed and observed.stored.problem:
        reasons.append(observed.stored.problem)
    if document["failed"]:
        early = document["failed_by_phase"]["before"]
        when = f", {early} of them before the rollout began" if early else ""
        shown = document["failures"][0]
        reasons.append(
            f"{document['failed']} of {document['sent']} requests failed{when}; the first: "
            f"{shown['kind']} at {shown['service']}, {shown['what']}."
        )
    for key, words in (
        ("duplicated", "records are stored more than once"),
        ("lost", "acknowledged records are not stored"),
        ("never_sent", "records are stored that were never sent"),
    ):
        if document[key]:
            reasons.append(f"{document[key]} {words}.")
    for service, names in missed.items():
        if names:
            reasons.append(f"{len(names)} events never reached the client at {service}; the first: {names[0]}.")
    return reasons + disorder


def baseline_of(entries: Iterable[Entry]) -> dict[str, Any]:
    """What a ledger says so far: `{sent, failed, first_failure, p50_ms, p99_ms}`."""
    asked = [entry for entry in entries if not entry.again and not entry.unavailable]
    failures = [entry for entry in asked if entry.failed]
    latency = _percentiles([entry for entry in asked if entry.kind not in (EVENTS, EXPORT)], Marks())
    return {
        "sent": len(asked),
        "failed": len(failures),
        "first_failure": f"{failures[0].kind} at {failures[0].service}, {failures[0].what}" if failures else "",
        "p50_ms": latency["p50_ms"]["before"],
        "p99_ms": latency["p99_ms"]["before"],
    }


SUMMARY = (
    "verdict", "sent", "failed", "duplicated", "lost", "never_sent", "missed_events", "reconnects",
    "versions_in_order", "p50_ms", "p99_ms", "reasons",
)  # fmt: skip


def summary(proof: Mapping[str, Any]) -> dict[str, Any]:
    """What the history of releases keeps of a proof."""
    return {name: proof[name] for name in SUMMARY}


def sentence(proof: Mapping[str, Any]) -> str:
    """The proof in one line, with the first reason when it failed."""
    known = {phase: ms for phase in PHASES if (ms := proof["p99_ms"].get(phase)) is not None}
    p99 = ", ".join(f"{ms:.0f} ms {phase}" for phase, ms in known.items())
    verdict = proof["verdict"] if not proof["reasons"] else f"{proof['verdict']}: {proof['reasons'][0]}"
    numbers = f"{proof['failed']} failed, {proof['duplicated']} duplicated, {proof['lost']} lost"
    return f"{proof['sent']} requests: {numbers}; p99 {p99 or 'unknown'}; {verdict.rstrip('.')}."

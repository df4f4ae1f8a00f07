"""What the stories of rollouts claim again and again: from records and proofs that the mesh keeps, not the screen."""

from __future__ import annotations

from typing import Any

from story_bench import Bench

from tests.testbed import playbook

KINDS = ("health", "read", "agent", "evaluate", "sample", "export", "events")


def settle(bench: Bench) -> str:
    """The release that runs, after making sure that nothing is half done; every story begins with it."""
    assert bench.unfinished() is None, bench.unfinished()
    applied = bench.applied()
    assert set(bench.running().values()) == {applied}
    assert bench.spares_running() == []
    return applied


def succeeded(outcome: playbook.Outcome) -> playbook.Outcome:
    assert outcome.code == 0, f"{outcome.failed}\n{outcome.output[-6000:]}"
    return outcome


def refused(outcome: playbook.Outcome, *words: str) -> str:
    """The output of a run that has to fail, and has to say `words`."""
    assert outcome.code != 0, outcome.output[-3000:]
    for word in words:
        assert word in outcome.output, f"nothing says {word!r}:\n{outcome.output[-4000:]}"
    assert "Traceback" not in outcome.output
    return outcome.output


def proven(proof: dict[str, Any]) -> dict[str, Any]:
    """A proof of traffic in which nothing was lost, doubled or late, and which saw enough to say so."""
    assert (proof["verdict"], proof["reasons"]) == ("pass", []), proof
    assert [proof[key] for key in ("failed", "duplicated", "lost", "missed_events")] == [0, 0, 0, 0]
    assert proof["versions_in_order"] is True
    assert proof["sent"] >= 200
    for phase in ("before", "during", "after"):
        assert proof["p99_ms"][phase] > 0
    return proof


def seen(proof: dict[str, Any], service: str) -> list[str]:
    """Releases of a service in the order in which clients met them."""
    rows = sorted(proof["versions"][service], key=lambda row: row["first"])
    return [row["version"] for row in rows]


def done(bench: Bench, verb: str, before: str, after: str) -> dict[str, Any]:
    """The finished record of the last rollout, which went from `before` to `after`."""
    record = bench.last_rollout()
    assert (record["verb"], record["status"], record["from"], record["to"]) == (verb, "done", before, after)
    assert bench.applied() == after
    assert set(bench.running().values()) == {after}
    assert bench.spares_running() == []
    return record


def unchanged(bench: Bench, *arguments: str) -> None:
    """A deploy that says what runs changes nothing and restarts nothing."""
    before = bench.starts()
    assert succeeded(bench.deploy(*arguments)).changed == []
    assert bench.starts() == before

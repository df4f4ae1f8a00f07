"""The harness itself leaves nothing behind."""

from __future__ import annotations

from typing import Any

from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, OutcomeError, UnansweredError, require_none
from vocabulary.stories import agent_story, allowed_story, policy_story, succeeded, telemetry_story
from vocabulary.targets import each_endpoint, endpoints_of, instances_of

KEEPERS = ("registry", "telemetry", "policy")
SWEEP_AFTER_S = 3600


def record_keepers(mesh: Mesh) -> list[Target]:
    """One endpoint of each service that keeps records of the harness."""
    firsts: dict[str, Target] = {}
    for target in each_endpoint(mesh):
        if target.subject in KEEPERS:
            firsts.setdefault(target.subject, target)
    return list(firsts.values())


@check(
    "harness.{subject}.clean",
    "Nothing of the harness is left behind in {subject}",
    targets=record_keepers,
    writes=True,
    hint="harness",
)
def test_nothing_is_left_behind(mesh: Mesh, target: Target) -> None:
    stories_are_over(mesh)
    base = mesh.endpoint_url(target.subject, target.host)
    mine = f"{base}/api/v1/verify-records?run_id={mesh.run_id}"
    steps = mesh.host(target.host).scenario(
        [
            mesh.request("DELETE", mine, name="purge"),
            mesh.request("DELETE", f"{base}/api/v1/verify-records?older_than_s={SWEEP_AFTER_S}", name="sweep"),
            mesh.request("GET", f"{base}/api/v1/verify-records", name="count"),
        ]
    )
    for name in ("purge", "sweep", "count"):
        succeeded(steps, name, 200)
    require_none(left_over(steps["count"]["json"], mesh.run_id), "no record of this run")


def left_over(counts: dict[str, Any], run_id: str) -> list[str]:
    """What the count by run still shows of this run, or of no run at all."""
    runs = counts.get("runs")
    if not isinstance(runs, list):
        raise MismatchError(expected="counts by run", actual=f"fields {', '.join(sorted(counts))}")
    mine = [row for row in runs if row.get("run_id") in (run_id, None)]
    return [f"{row['count']} records of {'run ' + run_id if row.get('run_id') else 'no run'}" for row in mine]


def stories_are_over(mesh: Mesh) -> None:
    """Raises UnansweredError while a story that writes has not been told, so that the purge comes after it."""
    stories = [
        (endpoints_of("api-gateway"), agent_story),
        (instances_of("policy"), policy_story),
        (endpoints_of("telemetry"), telemetry_story),
        (endpoints_of("policy"), allowed_story),
    ]
    waiting = None
    if not mesh.watches("smoke"):
        return
    for targets, story in stories:
        for target in targets(mesh):
            try:
                story(mesh, target)
            except OutcomeError:
                continue  # a story that went wrong is over too
            except UnansweredError as error:
                waiting = error
    if waiting is not None:
        raise waiting

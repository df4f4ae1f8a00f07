"""Requests made from a served OpenAPI document, and every answer held against that document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.parameters import ParameterLocation

SEED = 20260
# A schema cannot say what a cursor or an idempotency key must be; an unknown or empty parameter is ignored on purpose,
# so of requests that do not fit it is those with a wrong body that must be refused, which `_judge` looks at.
UNSUITABLE = ("positive_data_acceptance", "negative_data_rejection")


@dataclass(frozen=True)
class Target:
    """A process to ask. `headers` go with every request; `excluded` names checks that do not apply to it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    excluded: Sequence[str] = ()


def fuzz(targets: Sequence[Target], examples: int, known: Mapping[str, str]) -> list[str]:
    """What is wrong in the answers of `targets`, which offer the same interface; each case goes to each of them.

    `examples` is the number of drawn cases of an endpoint that takes anything; cases along the edges of the schema come
    besides. `known` has values of path parameters that exist, for half of the cases.
    """
    load_all_checks()
    schema = schemathesis.openapi.from_url(f"{targets[0].url}/openapi.json")
    found: dict[tuple[str, str], str] = {}
    with requests.Session() as session:
        session.trust_env = False
        for result in schema.get_all_operations():
            for case in _cases(result.ok(), examples, known):
                for target in targets:
                    for title, sentence in _judge(case, target, session):
                        found.setdefault((case.operation.label, title), f"{case.operation.label}: {sentence}")
    return list(found.values())


def _cases(operation: APIOperation, examples: int, known: Mapping[str, str]) -> Iterator[Case]:
    generation = operation.schema.config.generation_for(operation=operation, phase="coverage")
    yield from operation.schema.iter_coverage_cases(
        operation, generation_modes=list(GenerationMode), generation_config=generation
    )
    given_parameters = {name: value for name, value in known.items() if f"{{{name}}}" in operation.path}
    strategies = [operation.as_strategy()]
    if given_parameters:
        strategies.append(operation.as_strategy(path_parameters=given_parameters))
    if operation.body or operation.query or operation.headers:
        strategies.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    drawn: list[Case] = []

    @seed(SEED)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(strategies))
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    yield from drawn


def _judge(case: Case, target: Target, session: requests.Session) -> list[tuple[str, str]]:
    """What is wrong with the answer to one case, each as a short title and as a sentence with the request."""
    excluded = [CHECKS.get_one(name) for name in (*UNSUITABLE, *target.excluded)]
    if _streams_events(case):
        # An endless answer cannot be judged; one that is asked for no time at all is the same but ends.
        case.query = {**(case.query or {}), "wait": 0}
    options = {"session": session, "base_url": target.url, "headers": dict(target.headers), "timeout": 10}
    answer = case.call(**options, allow_redirects=False)
    try:
        case.validate_response(answer, excluded_checks=excluded, headers=dict(target.headers), transport_kwargs=options)
    except (Failure, FailureGroup) as failure:
        failures = failure.exceptions if isinstance(failure, FailureGroup) else [failure]
        shown = f"({answer.status_code}) by {case.as_curl_command(headers=dict(target.headers))}"
        return [(f"{one.title} {answer.status_code}", f"{one.title}: {one.message} {shown}") for one in failures]
    body = case.meta.components.get(ParameterLocation.BODY) if case.meta else None
    if body and body.mode.is_negative and answer.status_code < 300:
        return [("wrong body", f"A body that does not fit was taken: {case.as_curl_command()}")]
    return []


def _streams_events(case: Case) -> bool:
    """Whether the request would be answered until somebody hangs up; a `wait` that does not fit is refused anyway."""
    answers = case.operation.definition.raw.get("responses", {}).get("200", {}).get("content", {})
    wait = str((case.query or {}).get("wait", "0"))
    return "text/event-stream" in answers and wait.isdecimal()

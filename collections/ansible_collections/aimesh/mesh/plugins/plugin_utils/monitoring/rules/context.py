"""What the makers of rules ask the plan, and how long everything takes at a scale."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.layout import archives
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import BACKUPS, JOBS, PREFIX, PROBE, jobs
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.monitoring import DEFAULT_TEAM
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
INSTANCE = "job, host, instance, service"
"""Labels that name one target."""


@dataclass(frozen=True)
class Context:
    """A plan that has monitoring, and the factor on every duration: 1.0 is real, a drill takes less."""

    plan: Plan
    scale: float = 1.0

    def window(self, text: str) -> str:
        """A duration of Prometheus, scaled: `5m` → `5s` at 1/60. No shorter than a millisecond."""
        milliseconds = max(1, round(_milliseconds(text) * self.scale))
        unit = next(unit for unit, size in UNITS_MS.items() if milliseconds % size == 0)
        return f"{milliseconds // UNITS_MS[unit]}{unit}"

    def seconds(self, text: str) -> str:
        """The same as a number of seconds for an expression."""
        return number(_milliseconds(text) * self.scale / 1000)

    def threshold(self, name: str) -> Any:
        return self.plan["monitoring"]["thresholds"][name]

    def several(self, requests: str, window: str) -> str:
        """Condition that so many requests came within the window that a share of them means something.

        `requests` is a rate. The number is the same at every scale: what it guards against is few requests.
        """
        return f"{requests} * {self.seconds(window)} >= {number(self.threshold('min_requests'))}"

    @property
    def mesh(self) -> str:
        return str(self.plan["mesh"]["name"])

    @property
    def services(self) -> list[str]:
        return list(self.plan["services"])

    @property
    def service_jobs(self) -> str:
        """Matcher of the jobs of the mesh's own services."""
        return f'job=~"{PREFIX}({"|".join(self.services)})"'

    def parts(self, *names: str) -> list[tuple[str, str, str]]:
        """(job, host, service) of each target of these parts of monitoring."""
        return self._targets({f"{PREFIX}{JOBS[name][0]}" for name in names})

    def backups(self) -> list[tuple[str, str, str]]:
        """(job, host, service) of what tells of backups in a cluster; on a host the node exporter does."""
        return self._targets({BACKUPS})

    def probes(self) -> list[tuple[str, str, str]]:
        """(job, host, service) of each public endpoint that is probed."""
        return self._targets({PROBE})

    def _targets(self, names: set[str]) -> list[tuple[str, str, str]]:
        return [
            (job.name, target.labels["host"], target.labels["service"])
            for job in jobs(self.plan)
            if job.name in names
            for target in job.targets
        ]

    def discovered_replicas(self) -> dict[str, int]:
        """Job → how many targets it has at least, for the jobs whose targets Prometheus finds itself."""
        return {job.name: job.discovery.least for job in jobs(self.plan) if job.discovery is not None}

    def has(self, part: str) -> bool:
        """Whether the mesh has a part of monitoring."""
        return any(each["part"] == part for each in self.plan["monitoring"]["parts"])

    @property
    def probed_urls(self) -> list[str]:
        return [target.address for job in jobs(self.plan) if job.name == PROBE for target in job.targets]

    def has_backups(self) -> bool:
        """Whether something makes backups, be it the daily dump alone."""
        return bool(self.plan["backup"].get("engine"))

    def archives_wal(self) -> bool:
        """Whether there is an archive of WAL with backups and restore drills, which the dump alone has not."""
        return archives(self.plan)

    def has_standbys(self) -> bool:
        """Whether PostgreSQL has standbys that can lag behind."""
        return bool(self.plan["postgresql"].get("replicas"))

    def keeps_redis_writes(self) -> bool:
        return bool(self.plan["redis"].get("persistence") == "aof")

    def team(self, service: str) -> str:
        """Label `team` of an alert, from its `service`: one team, or a template that tells it from the series."""
        if "{{" not in service:
            return self._team_of(service)
        others = [(name, team) for name in self._given_away() if (team := self._team_of(name)) != DEFAULT_TEAM]
        if not others:
            return str(DEFAULT_TEAM)
        chain = "{{ else if ".join(f'eq $labels.service "{name}" }}}}{team}' for name, team in others)
        return f"{{{{ if {chain}{{{{ else }}}}{DEFAULT_TEAM}{{{{ end }}}}"

    def _given_away(self) -> list[str]:
        """Services that `teams` names, by their own name or by that of a part that watches them."""
        watched = {part: service for part, (_, service) in JOBS.items()}
        given = self.plan["monitoring"]["alerting"]["teams"]
        return sorted({watched.get(name, name) for name in given})

    def _team_of(self, service: str) -> str:
        teams = self.plan["monitoring"]["alerting"]["teams"]
        parts = [part for part, (_, watched) in JOBS.items() if watched == service]
        return str(next((teams[name] for name in (service, *parts) if name in teams), DEFAULT_TEAM))


def number(value: float) -> str:
    """A number as PromQL has it, without the noise of binary fractions: `0.0144`, `691200`."""
    return format(value, ".10g")


def percent(share: float) -> str:
    """A share as people read it: `0.05` → `5%`."""
    return f"{number(share * 100)}%"


def service_of_job(expr: str) -> str:
    """The expression with the label `service`, out of its jobs' names; metrics of scrapes themselves have none."""
    body = "\n".join(f"  {line}" for line in expr.splitlines())
    return f'label_replace(\n{body},\n  "service", "$1", "job", "{PREFIX}(.+)"\n)'


def _milliseconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)(ms|[dhms])", text)
    if not found:
        raise ValueError(f"{text!r} is not one number and one unit of {', '.join(UNITS_MS)}")
    return int(found[1]) * UNITS_MS[found[2]]

"""The load of a rollout on a cluster without the rollout: what callers see while something else happens to the mesh."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.background import LoadFiles
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.ledger import Entry, read_entries
from k8s_site import KubeSite

from tests.testbed.paths import REPOSITORY


@dataclass
class Seen:
    """What the load left; filled in when it has ended. Times are seconds of the wall clock."""

    proof: dict[str, Any] = field(default_factory=dict)
    failures: list[Entry] = field(default_factory=list)

    def failures_outside(self, begin: float, end: float) -> list[Entry]:
        """Failed requests that were not in hand at any moment between the two."""
        return [each for each in self.failures if each.ended < begin or each.t > end]

    @property
    def outage_s(self) -> float:
        """From the first request that failed to the last one that was due and failed."""
        return self.failures[-1].t - self.failures[0].t if self.failures else 0.0

    @property
    def lost_or_doubled(self) -> dict[str, int]:
        return {name: self.proof[name] for name in ("lost", "duplicated", "never_sent")}


@contextmanager
def load(site: KubeSite, name: str, **variables: Any) -> Iterator[Seen]:
    """Load runs while the block does; `name` is that of its record, new for each load of a site."""
    seen = Seen()
    _playbook(site, "begins", name, **variables)
    try:
        yield seen
    finally:
        _playbook(site, "ends", name, **variables)
    files = LoadFiles(str(REPOSITORY / "build" / site.name / "load"), name)
    seen.proof = json.loads(files.proof.read_text())
    seen.failures = sorted((each for each in read_entries(files.ledger) if each.failed), key=lambda each: each.t)


def _playbook(site: KubeSite, end: str, name: str, **variables: Any) -> None:
    variables = {"mesh_version": site.applied()["release"]["id"], **variables}
    outcome = site.run(f"tests/vm/playbooks/load_{end}.yml", load=name, **variables)
    assert outcome.code == 0, outcome.output[-3000:]


def eventually(holds: Callable[[], bool], seconds: float, what: str) -> float:
    """Seconds until it holds. Raises AssertionError when it never does."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.5)
    return time.monotonic() - begun

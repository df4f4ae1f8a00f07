"""A deployed site on which rollouts are tried: its releases, its playbooks, and what the state home says of them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from doctored_release import Doctored, Shelf, next_version

from tests.testbed import Testbed, playbook
from tests.testbed.database import psql
from tests.testbed.image import BASES
from tests.testbed.paths import REPOSITORY
from tests.testbed.site import Site
from tests.testbed.vm import Vm

STATE = "/var/lib/aimesh"
QUICK = {"soak_s": 3, "ready_timeout_s": 40}
"""Rollout settings for stories that are not about the defaults."""
GATEWAY = 3000
HOST, ADDRESS = "rollouts", "192.0.2.10"


@dataclass
class Bench:
    """`applied()` is asked of the host each time: what a playbook said of itself is no evidence."""

    site: Site
    shelf: Shelf
    quick: dict[str, Any] = field(default_factory=lambda: dict(QUICK))
    _made: int = 0

    @property
    def vm(self) -> Vm:
        """The state host; in these sites it is the edge host as well."""
        return self.site.vms[-1]

    def build(self, doctored: Doctored, *, after: str = "") -> str:
        """A release above `after` (default: the applied one), of content that no earlier one had; returns its id."""
        self._made += 1
        version = next_version((after or self.applied()).partition("+")[0])
        named = Doctored(f"{doctored.name}-{self._made}", doctored.hook, doctored.sql, doctored.contracts)
        return self.shelf.add(named, version)

    def arguments(self, **settings: Any) -> tuple[str, ...]:
        """What every run here gets: the shelf, and `mesh_update` with the quick settings under `settings`."""
        return (*self.shelf.source, "-e", json.dumps({"mesh_update": {**self.quick, **settings}}))

    def update(self, release_id: str, *arguments: str, **settings: Any) -> playbook.Outcome:
        target = ("-e", json.dumps({"mesh_target_version": release_id}))
        return self.site.run("playbooks/update.yml", *self.arguments(**settings), *target, *arguments)

    def rollback(self, *arguments: str, **settings: Any) -> playbook.Outcome:
        return self.site.run("playbooks/rollback.yml", *self.arguments(**settings), *arguments)

    def scale(self, replicas: dict[str, int], *arguments: str, **settings: Any) -> playbook.Outcome:
        """With an inventory that names what runs: a scale changes no version."""
        wish = (*self.redeploy_of(self.applied()), "-e", json.dumps({"mesh_scale": replicas}))
        return self.site.run("playbooks/scale.yml", *self.arguments(**settings), *wish, *arguments)

    def deploy(self, *arguments: str) -> playbook.Outcome:
        """`playbooks/deploy.yml`, the part of site.yml that changes anything."""
        return self.site.deploy(*self.arguments(), *arguments)

    def redeploy_of(self, release_id: str) -> tuple[str, ...]:
        """Arguments of an inventory that names a release."""
        return ("-e", json.dumps({"mesh_version": release_id}))

    def begin_update(self, release_id: str, **settings: Any) -> subprocess.Popen[str]:
        """An update in a session of its own, for stories that kill it; its output can be read line by line."""
        wish = ("-e", json.dumps({"mesh_target_version": release_id}))
        return self.site.begin("playbooks/update.yml", *self.arguments(**settings), *wish)

    def raze(self) -> None:
        """Take the mesh away with its data and backups."""
        confirmed = ("-e", f"mesh_remove_data={self.site.name}", "-e", f"mesh_remove_backups={self.site.name}")
        outcome = self.site.run("playbooks/destroy.yml", *self.shelf.source, *confirmed)
        assert outcome.code == 0, outcome.output[-4000:]

    def await_step(self, action: str, target: str, seconds: float = 400) -> None:
        """Return as soon as the rollout to `target` has recorded a step with this action."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            record = self.unfinished()
            if record and record["to"] == target and any(step["action"] == action for step in record["steps"]):
                return
            time.sleep(0.05)
        raise AssertionError(f"no step {action} of a rollout to {target} within {seconds:.0f} s")

    def kill_module(self) -> str:
        """End the module call that changes the state host now, as a host that loses power would; returns its name.

        Modules come through a pipe and their processes have no name of their own, but whoever changes a host has its
        lock. The load generator has none and goes on.
        """
        holder = self.state("host.lock")
        self.vm.run(f"kill -9 {int(holder['pid'])}")
        return str(holder["holder"])

    def under_load(self, act: Callable[[], None], *arguments: str) -> dict[str, Any]:
        """The proof of the load that runs during an update, over something else that `act` does."""
        self._made += 1
        name = f"story-{os.getpid()}-{self._made}"
        for end in ("begins", "ends"):
            outcome = self.site.run(
                f"tests/vm/playbooks/load_{end}.yml", *self.arguments(), *arguments, "-e", f"load={name}"
            )
            assert outcome.code == 0, outcome.output[-4000:]
            if end == "begins":
                act()
        return self.proof(name)

    def state(self, name: str) -> Any:
        """A JSON file of the state home, None when it is not there."""
        text = self.vm.run(f"cat {STATE}/{name} 2>/dev/null", check=False)
        return json.loads(text) if text.strip() else None

    def applied(self) -> str:
        """Id of the release that the applied plan names."""
        return str(self.applied_plan()["release"]["id"])

    def applied_plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = self.state("applied-plan.json")
        return plan

    def unfinished(self) -> dict[str, Any] | None:
        """The rollout that is neither done nor given up, as recorded."""
        record: dict[str, Any] | None = self.state("rollout.json")
        return record

    def last_rollout(self) -> dict[str, Any]:
        """The newest finished rollout's record."""
        newest = self.vm.run(
            f"ls -t {STATE}/rollouts/*.json 2>/dev/null | grep -v traffic | head -1", check=False
        ).strip()
        assert newest, "no finished rollout is recorded"
        record: dict[str, Any] = json.loads(self.vm.run(f"cat {shlex.quote(newest)}"))
        return record

    def proof(self, rollout_id: str) -> dict[str, Any]:
        """What the load generator saw during a rollout."""
        proof: dict[str, Any] | None = self.state(f"rollouts/{rollout_id}.traffic.json")
        assert proof is not None, f"rollout {rollout_id} left no proof of its traffic"
        return proof

    def running(self) -> dict[str, str]:
        """Unit → release that its process itself reports, of every planned instance."""
        plan = self.applied_plan()
        return {each["unit"]: self._version(each) for each in plan["instances"]}

    def starts(self) -> dict[str, str]:
        """Unit → its process and when that started, of what runs for long."""
        if self.applied_plan()["mesh"]["platform"] == "compose":
            return container_starts(self.vm)
        return {unit: start for unit, start in self.site.starts().items() if "migrate" not in unit}

    def spares_running(self) -> list[str]:
        """Spares that answer although no rollout is under way."""
        return [each["unit"] for each in self.applied_plan()["spares"] if self._version(each)]

    def _version(self, instance: dict[str, Any]) -> str:
        url = f"http://{instance['bind']}:{instance['port']}/health/live"
        answer = self.vm.run(f"python3 -I -c \"{_GET}\" '{url}'", check=False)
        return str(json.loads(answer)["version"]) if answer.strip() else ""

    def call(self, method: str, path: str, body: Any = None, port: int = GATEWAY) -> Any:
        """Ask an endpoint on its host with the admin token; the answer's JSON. Raises on an error status."""
        plan = self.applied_plan()
        words = [method, f"http://127.0.0.1:{port}{path}", plan["mesh"]["paths"]["config"]]
        words += [json.dumps(body)] if body is not None else []
        return json.loads(self.vm.run(f'python3 -I -c "{_CALL}" ' + " ".join(shlex.quote(word) for word in words)))

    def sql(self, query: str) -> str:
        """Answer of the mesh's database to a query, as psql prints it without decoration."""
        return self.vm.run(psql(self.applied_plan(), query)).strip()


def container_starts(vm: Vm) -> dict[str, str]:
    """Container of the mesh → when its process started, and how often the engine had to start it again."""
    form = "{{.Name}} {{.State.StartedAt}} {{.RestartCount}}"
    listed = vm.run(
        "ids=$(docker ps --quiet --filter label=com.docker.compose.project=aimesh);"
        f" [ -z \"$ids\" ] || docker inspect --format '{form}' $ids"
    )
    return {line.split()[0].lstrip("/"): line.partition(" ")[2] for line in listed.splitlines()}


_GET = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
except OSError:
    pass
"""

# The token is read on the host and shown nowhere.
_CALL = """
import json, pathlib, sys, urllib.request
method, url, config = sys.argv[1:4]
token = pathlib.Path(config, 'credentials', 'service_token').read_text().strip()
body = sys.argv[4].encode() if len(sys.argv) > 4 else None
request = urllib.request.Request(url, data=body, method=method,
    headers={'Authorization': 'Bearer ' + token, 'Content-Type': 'application/json'})
print(urllib.request.urlopen(request, timeout=10).read().decode() or 'null')
"""


KEPT = "AIMESH_STORY_RUN"
"""Environment variable with a testbed run that is up and stays up, so that one story can be tried by hand."""


def kept_folder(folder: Path) -> Path:
    """`folder`, or the one of the kept run."""
    kept = os.environ.get(KEPT, "")
    return REPOSITORY / ".cache" / "stories" / kept if kept else folder


def vm_bench(make_bed: Callable[[], Testbed], folder: Path) -> Bench:
    """`inventories/small` on a VM of its own, deployed from a shelf of releases."""
    folder = kept_folder(folder)
    return _bench("small", lambda: Shelf(folder / "releases"), make_bed, folder, lambda bed: bed.start(HOST))


def compose_bench(make_bed: Callable[[], Testbed], folder: Path) -> Bench:
    """`inventories/compose` on a host with an engine of its own; every release of the shelf has images."""
    folder = kept_folder(folder)
    return _bench(
        "compose",
        lambda: Shelf(folder / "releases", base_image=BASES["debian-13"].ensure()),
        make_bed,
        folder,
        lambda bed: bed.start_compose_host(HOST),
    )


def until_its_last_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Body of a fixture of a module: the host of `bench` goes after the last file whose tests use it.

    An idle mesh takes its part of the processors from every test that follows.
    """
    users = [item for item in request.session.items if "bench" in getattr(item, "fixturenames", ())]
    last = bool(users) and users[-1].path == request.path
    if last:
        request.getfixturevalue("bench")
    yield
    if last and not os.environ.get(KEPT):
        request.getfixturevalue("bed").lose(HOST)


def _bench(
    site: str,
    fill_shelf: Callable[[], Shelf],
    make_bed: Callable[[], Testbed],
    folder: Path,
    start: Callable[[Testbed], Vm],
) -> Bench:
    kept = os.environ.get(KEPT, "")
    bed = Testbed(kept) if kept else make_bed()
    fresh = not kept or not (folder / site).exists()
    if kept and fresh:
        bed.up()
    # After the bed, which starts the engine that images are built with.
    shelf = fill_shelf()
    made = Site(site, bed, folder, {ADDRESS: start(bed) if fresh else bed.existing(HOST)})
    if fresh:
        outcome = made.deploy(*shelf.source)
        assert outcome.code == 0, outcome.output[-6000:]
    return Bench(made, shelf)

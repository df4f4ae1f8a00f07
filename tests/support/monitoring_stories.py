"""Alerts of a deployed mesh: none while all is well, and the drill finds each hop that is broken."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.testbed import Vm, alerts, playbook
from tests.testbed.paths import REPOSITORY
from tests.testbed.site import Site

ROUTES, RULES = "alertmanager/alertmanager.yml", "prometheus/rules.yml"
EXPORTER = "redis-exporter"


@dataclass
class Watched:
    """A site with monitoring, everything of it on one host."""

    site: Site

    @property
    def vm(self) -> Vm:
        return self.site.vms[-1]

    @property
    def plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = json.loads(self.vm.run("cat /var/lib/aimesh/applied-plan.json"))
        return plan

    @property
    def in_containers(self) -> bool:
        return bool(self.plan["mesh"]["platform"] == "compose")

    def drill(self, fault: str = "", *arguments: str) -> playbook.Outcome:
        wish = ("-e", f"mesh_drill_fault={fault}") if fault else ()
        return self.site.run("playbooks/drill.yml", "-e", "mesh_drill=alerts", *wish, *arguments, timeout=1500)

    def failed_checks(self) -> set[str]:
        """Checks of monitoring that are red now."""
        self.site.verify("--only", "monitoring")
        report = json.loads((REPOSITORY / "build" / self.site.name / "report-only.json").read_text())
        return {check["id"] for check in report["checks"] if check["status"] == "fail"}

    def stop(self, part: str) -> None:
        self.vm.run(f"docker stop aimesh-{part}" if self.in_containers else f"systemctl stop aimesh-{part}")

    def start(self, part: str) -> None:
        self.vm.run(f"docker start aimesh-{part}" if self.in_containers else f"systemctl start aimesh-{part}")

    @contextmanager
    def changed(self, name: str, old: str, new: str) -> Iterator[None]:
        """A file of the configuration reads otherwise, and its program has read it again."""
        path, part = f"/etc/aimesh/{name}", name.partition("/")[0]
        before = self.vm.run(f"cat {path}")
        assert old in before, f"{path} has no {old}"
        try:
            self._write(path, before.replace(old, new), part)
            yield
        finally:
            self._write(path, before, part)

    def _write(self, path: str, text: str, part: str) -> None:
        """In place, so that it keeps owner and mode."""
        self.vm.run(f"cat > {path} <<'END_OF_FILE'\n{text}END_OF_FILE\n")
        unit = f"aimesh-{part}"
        # The engine would take a signal of its own for a stop by hand.
        pid = "$(docker inspect --format {{.State.Pid}} " + unit + ")"
        self.vm.run(f"kill -HUP {pid}" if self.in_containers else f"systemctl kill -s HUP {unit}")
        time.sleep(2)


def broken_at(outcome: playbook.Outcome, hop: str) -> str:
    """The sentence of a drill that stopped at this hop."""
    assert outcome.code != 0, outcome.output[-4000:]
    found = [line for line in outcome.output.splitlines() if "The alert drill stopped at" in line]
    assert found, outcome.output[-4000:]
    assert f"The alert drill stopped at {hop}" in found[0], found[0]
    return found[0]


class MonitoringStories:
    """`watched` is a fixture with a deployed site that is healthy."""

    @pytest.fixture(autouse=True)
    def whole_again(self, watched: Watched) -> Iterator[None]:
        yield
        # A drill that was meant to fail is no reason for the next verification to complain.
        watched.vm.run(f"rm -f {alerts.DRILLS}/alerts.json")
        left = watched.vm.run(
            "ps -eo args | grep '[a]imesh-drill/' || true; ls -d /var/lib/aimesh-drill 2>/dev/null || true"
        )
        assert left == ""

    def test_while_all_is_well_no_alert_fires_for_the_whole_soak(self, watched: Watched) -> None:
        assert alerts.fired_during_soak(watched.vm, watched.plan) == []

    def test_the_stopped_registry_fires_and_resolves_at_the_receiver(self, watched: Watched) -> None:
        outcome = watched.drill("registry")
        assert outcome.code == 0, outcome.output[-6000:]
        print("\n".join(alerts.hop_lines(alerts.proof(watched.vm))))
        assert alerts.wrong_with_registry_drill(watched.vm, watched.plan) == []
        # A drill is in the ledger and fires nowhere.
        assert alerts.receiver(watched.vm, watched.plan, "/alerts")[0]["active"] == []

    def test_a_drill_in_check_mode_stops_nothing(self, watched: Watched) -> None:
        before = watched.site.starts()
        outcome = watched.drill("registry", "--check")
        assert outcome.code == 0, outcome.output[-4000:]
        assert outcome.changed == []
        assert "is stopped (registry answers nobody)" in " ".join(outcome.output.split())
        assert watched.site.starts() == before

    def test_a_broken_route_is_named(self, watched: Watched) -> None:
        # The first route is the ledger's; one that matches nothing leads nowhere.
        with watched.changed(ROUTES, '"continue": true', '"matchers": ["alertname=\\"Nothing\\""], "continue": true'):
            said = broken_at(watched.drill(), "Alertmanager → receiver (critical)")
            assert "not to aimesh-ledger" in said
            assert "monitoring.alertmanager.configured" in watched.failed_checks()

    def test_a_wrong_url_of_the_receiver_is_named(self, watched: Watched) -> None:
        with watched.changed(ROUTES, "/webhook", "/elsewhere"):
            said = broken_at(watched.drill(), "Alertmanager → receiver (critical)")
            assert "nothing arrived at the alert receiver" in said

    def test_a_rule_with_a_typo_is_named(self, watched: Watched) -> None:
        with watched.changed(RULES, 'up{job=~"aimesh-node|', 'upp{job=~"aimesh-node|'):
            said = broken_at(watched.drill(), "Prometheus → rule")
            assert "the mesh's own rule ExporterDown reads otherwise than the plan's" in said
            assert "monitoring.drill.recent" in watched.failed_checks()

    def test_an_exporter_that_is_down_is_named(self, watched: Watched) -> None:
        watched.stop(EXPORTER)
        try:
            said = broken_at(watched.drill(), "target → Prometheus")
            assert "up of redis-exporter@" in said
            assert "monitoring.targets.up" in watched.failed_checks()
        finally:
            watched.start(EXPORTER)


class RealDrillStories:
    """The same drill at the mesh's own pace: minutes of outage of one service, so it is no part of the merge gate."""

    def test_a_real_fault_fires_by_the_mesh_s_own_prometheus_and_ends(self, watched: Watched) -> None:
        outcome = watched.drill("registry", "-e", "mesh_drill_profile=real")
        assert outcome.code == 0, outcome.output[-6000:]
        held = alerts.proof(watched.vm)
        print("\n".join([f"{watched.plan['mesh']['platform']}, profile {held['profile']}", *alerts.hop_lines(held)]))
        assert (held["verdict"], held["profile"]) == ("pass", "real")
        # ServiceDown waits two minutes before it fires.
        assert next(hop["seconds"] for hop in held["hops"] if hop["name"] == "rule → firing") > 100

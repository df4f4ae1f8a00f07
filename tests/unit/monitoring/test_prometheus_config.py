"""What Prometheus and the blackbox exporter load is what their own programs of both Debians accept, and say little."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.prometheus_config import (
    PROBE_MODULE,
    Paths,
    blackbox_config,
    prometheus_config,
    target_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import job_names
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import _from_base64
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.certificate import metrics_certificate
from monitoring_tools import tool

SMALL = json.loads((Path(__file__).parents[2] / "fixtures/plan_small.json").read_text())
SUITES = ("bookworm", "trixie")
PATHS = Paths(rules=("/etc/aimesh/prometheus/rules.yml",), targets="/targets", certificate="/metrics.pem")
RULES = 'groups: [{name: one, rules: [{alert: Watchdog, expr: "vector(1)"}]}]\n'

Plan = dict[str, Any]


@pytest.fixture
def plan() -> Plan:
    return copy.deepcopy(SMALL)


@pytest.fixture
def spread(plan: Plan) -> Plan:
    """PostgreSQL on a host of its own, with its exporters there."""
    plan["hosts"]["vm2"] = {**plan["hosts"]["vm1"], "address": "192.0.2.12", "roles": ["data"]}
    beyond = {"host": "vm2", "bind": "192.0.2.12", "tls": True}
    parts = {part["part"]: part for part in plan["monitoring"]["parts"]}
    parts["postgres-exporter"] |= beyond | {"address": "192.0.2.12:9187"}
    plan["monitoring"]["parts"].insert(1, parts["node-exporter"] | beyond | {"address": "192.0.2.12:9100"})
    return plan


def config(plan: Plan, paths: Paths = PATHS, scale: float = 1.0) -> Plan:
    document: Plan = json.loads(prometheus_config(plan, paths, scale))
    return document


def scrape(plan: Plan, job: str) -> Plan:
    (found,) = [each for each in config(plan)["scrape_configs"] if each["job_name"] == job]
    return dict(found)


def groups(plan: Plan, job: str) -> list[Plan]:
    found: list[Plan] = json.loads(target_files(plan, "/targets")[f"/targets/{job}.json"])
    return found


Checked = Callable[[Plan, str], subprocess.CompletedProcess[str]]


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    """What promtool of a Debian says of a plan's configuration with everything that it names."""

    def check(plan: Plan, suite: str) -> subprocess.CompletedProcess[str]:
        rules, certificate, targets = tmp_path / "rules.yml", tmp_path / "metrics.pem", tmp_path / "targets"
        targets.mkdir(exist_ok=True)
        rules.write_text(RULES)
        certificate.write_text(_from_base64(metrics_certificate()))
        for path, text in target_files(plan, str(targets)).items():
            Path(path).write_text(text)
        conf = tmp_path / "prometheus.yml"
        conf.write_text(prometheus_config(plan, Paths((str(rules),), str(targets), str(certificate))))
        command = [str(tool("promtool", suite)), "check", "config", str(conf)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    return check


@pytest.mark.parametrize("suite", SUITES)
def test_promtool_accepts_the_configuration(plan: Plan, checked: Checked, suite: str) -> None:
    done = checked(plan, suite)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("suite", SUITES)
def test_promtool_accepts_targets_of_one_job_with_and_without_tls(spread: Plan, checked: Checked, suite: str) -> None:
    done = checked(spread, suite)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("suite", SUITES)
def test_promtool_refuses_a_job_without_an_interval(plan: Plan, checked: Checked, suite: str) -> None:
    """Negative control: the check can fail."""
    plan["monitoring"]["evaluation_interval_s"] = 10**12
    assert checked(plan, suite).returncode != 0


@pytest.mark.parametrize("suite", SUITES)
def test_the_blackbox_exporter_accepts_its_configuration_and_refuses_another(
    plan: Plan, tmp_path: Path, suite: str
) -> None:
    program, conf = tool("prometheus-blackbox-exporter", suite), tmp_path / "blackbox.yml"
    codes = []
    for text in (blackbox_config(plan), blackbox_config(plan).replace("prober", "prover")):
        conf.write_text(text)
        command = [str(program), "--config.check", f"--config.file={conf}"]
        codes.append(subprocess.run(command, capture_output=True, timeout=30, check=False).returncode)
    assert codes[0] == 0 and codes[1] != 0


def test_every_job_is_asked_once_and_has_its_file_of_targets(spread: Plan) -> None:
    names = [each["job_name"] for each in config(spread)["scrape_configs"]]
    assert names == job_names(spread) and len(names) == len(set(names))
    kept = [each["relabel_configs"][0] for each in config(spread)["scrape_configs"]]
    assert {each["action"] for each in kept} == {"keep"} and {*kept[0]["source_labels"]} == {"__meta_filepath"}
    for rule, own in zip(kept, target_files(spread, "/targets"), strict=True):
        assert [path for path in target_files(spread, "/targets") if re.fullmatch(rule["regex"], path)] == [own]


def test_the_folder_of_targets_is_watched_once_whatever_the_number_of_jobs(spread: Plan) -> None:
    """Prometheus shares what is configured alike; each watch is one of the 128 that the kernel gives a user."""
    found = [json.dumps(each["file_sd_configs"]) for each in config(spread)["scrape_configs"]]
    assert len(found) > 10 and len(set(found)) == 1


def test_neither_scaling_nor_an_update_changes_the_configuration(plan: Plan) -> None:
    before, targets = config(plan), target_files(plan, "/targets")
    plan["instances"].append(plan["spares"].pop(1))
    plan["release"]["id"] = "1.0.1+deadbeef"
    assert config(plan) == before
    assert target_files(plan, "/targets") != targets


def test_a_slot_that_runs_only_during_updates_is_marked_as_such(plan: Plan) -> None:
    assert {group["labels"]["instance"]: group["labels"]["planned"] for group in groups(plan, "aimesh-registry")} == {
        "registry@a": "yes",
        "registry@b": "no",
    }


def test_only_what_listens_beyond_its_host_is_asked_with_tls(spread: Plan) -> None:
    schemes = {group["targets"][0]: group["labels"].get("__scheme__") for group in groups(spread, "aimesh-node")}
    assert schemes == {"127.0.0.1:9100": None, "192.0.2.12:9100": "https"}
    tls = scrape(spread, "aimesh-node")["tls_config"]
    assert tls == {
        **dict.fromkeys(("ca_file", "cert_file", "key_file"), "/metrics.pem"),
        "server_name": "aimesh-metrics",
    }
    assert "tls_config" not in scrape(spread, "aimesh-redis")


def test_a_probe_goes_through_the_exporter_and_keeps_its_url_as_the_instance(plan: Plan) -> None:
    job = scrape(plan, "aimesh-probe")
    assert job["metrics_path"] == "/probe" and job["params"] == {"module": [PROBE_MODULE]}
    assert job["relabel_configs"][1:] == [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"target_label": "__address__", "replacement": "127.0.0.1:9115"},
    ]
    for group in groups(plan, "aimesh-probe"):
        assert group["labels"]["instance"] == group["targets"][0]
        assert group["targets"][0].endswith("/health/ready")


def test_others_can_say_where_alertmanager_and_the_prober_are(plan: Plan) -> None:
    paths = Paths(("/rules",), "/targets", "/pem", alertmanager="192.0.2.77:9093", blackbox="192.0.2.77:9115")
    document = config(plan, paths)
    assert document["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["192.0.2.77:9093"]}]
    assert "192.0.2.77:9115" in json.dumps(document["scrape_configs"]) and "127.0.0.1" not in json.dumps(document)


def test_a_drill_is_as_much_faster_as_it_asks_for_and_never_faster_than_a_second(plan: Plan) -> None:
    real, fast = config(plan)["global"], config(plan, scale=1 / 60)["global"]
    assert (real["scrape_interval"], real["scrape_timeout"], real["evaluation_interval"]) == ("15s", "10s", "15s")
    assert (fast["scrape_interval"], fast["scrape_timeout"], fast["evaluation_interval"]) == ("1s", "1s", "1s")


def test_alerts_carry_the_name_of_the_mesh(plan: Plan) -> None:
    assert config(plan)["global"]["external_labels"] == {"mesh": "acme"}

"""What watches the mesh in containers: who asks whom, what each sees, what changes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose import monitoring, render
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import HostState, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.commands import RELOADING, TEXTFILES
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import jobs, parts_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import RenderedFile

from .conftest import fingerprints, project, rendered, site

PARTS = (
    "node-exporter",
    "postgres-exporter",
    "redis-exporter",
    "blackbox-exporter",
    "alert-receiver",
    "alertmanager",
    "prometheus",
)
PROMETHEUS = "/etc/aimesh/prometheus"
SLACK = {"name": "ops", "kind": "slack", "channel": "#ops", "secret": "receiver_ops"}

Service = dict[str, Any]


def unit(state: HostState, part: str) -> Unit:
    (found,) = [each for each in state.units if each.name == f"aimesh-{part}"]
    return found


def sources(service: Service) -> set[str]:
    return {mount["source"] for mount in service["volumes"]}


def restarted(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def watching(names: set[str]) -> set[str]:
    return names & {f"aimesh-{part}" for part in PARTS}


def test_each_part_of_the_plan_is_a_container_and_comes_after_what_it_watches(plan: Plan, state: HostState) -> None:
    names = [each.name for each in state.units]
    assert names[-len(PARTS) :] == [f"aimesh-{part}" for part in PARTS]
    assert [part["unit"] for part in parts_on(plan, "vm1")] == names[-len(PARTS) :]


def test_a_part_listens_where_the_plan_says(plan: Plan, services: dict[str, Service]) -> None:
    for part in parts_on(plan, "vm1"):
        service = services[part["part"]]
        assert service["networks"]["mesh"]["ipv4_address"] == part["bind"]
        assert any(word.endswith(f"{part['bind']}:{part['port']}") for word in service["command"]), part["part"]
        assert service["mem_limit"] == f"{part['memory_mb']}m"


def test_all_parts_are_of_one_image_and_run_as_its_account(services: dict[str, Service]) -> None:
    assert {services[part]["image"] for part in PARTS} == {"aimesh/monitoring:2.53.3-55555555"}
    assert {services[part]["user"] for part in PARTS} == {"10014:10014"}
    assert [name for name, each in services.items() if each["user"] == "10014:10014"] == list(PARTS)


def test_a_mesh_that_nothing_watches_has_no_such_container_and_no_such_image(plan: Plan) -> None:
    plan["monitoring"] = None
    state = render(plan, "vm1")
    assert not watching({each.name for each in state.units})
    assert "monitoring" not in [image.name for image in state.images]
    assert not any("prometheus" in file.path for file in state.files)


def test_nothing_of_it_leaves_the_host_without_a_reason(services: dict[str, Service]) -> None:
    assert all(set(services[part]["networks"]) == {"mesh"} and "ports" not in services[part] for part in PARTS)


def test_alertmanager_leaves_the_host_when_somebody_is_told(plan: Plan) -> None:
    plan["monitoring"]["alerting"]["receivers"] = [SLACK]
    plan["secrets"]["receiver_ops"] = {"store": "vault", "name": "receiver_ops", "version": 1, "fingerprint": "f"}
    services = project(plan, "vm1")["services"]
    assert [part for part in PARTS if "outside" in services[part]["networks"]] == ["alertmanager"]


def test_what_is_asked_from_another_host_lets_in_prometheus_alone(two_hosts: Plan) -> None:
    exporter = project(two_hosts, "node1")["services"]["node-exporter"]
    assert [(port["host_ip"], port["target"]) for port in exporter["ports"]] == [("192.0.2.11", 9100)]
    assert "--web.listen-address=0.0.0.0:9100" in exporter["command"]
    folder = "/etc/aimesh/monitoring/node-exporter"
    assert f"--web.config.file={folder}/web.yml" in exporter["command"]
    files = rendered(two_hosts, "node1")
    tls = yaml.safe_load(files[f"{folder}/web.yml"].content or "")["tls_server_config"]
    assert tls["client_auth_type"] == "RequireAndVerifyClientCert"
    assert {tls["cert_file"], tls["key_file"], tls["client_ca_file"]} == {f"{folder}/metrics_tls.pem"}
    assert (files[f"{folder}/metrics_tls.pem"].mode, files[f"{folder}/metrics_tls.pem"].owner) == ("0400", "10014")
    assert {f"{folder}/web.yml", f"{folder}/metrics_tls.pem"} <= set(
        unit(render(two_hosts, "node1"), "node-exporter").files
    )


def test_a_part_that_asks_for_a_certificate_is_ready_when_it_listens(two_hosts: Plan) -> None:
    ready = unit(render(two_hosts, "node1"), "node-exporter").ready
    assert ready is not None
    assert (ready.url, ready.tcp) == (None, ("172.29.64.9", 9100))
    near = unit(render(two_hosts, "node2"), "node-exporter").ready
    assert near is not None
    assert near.url == "http://172.29.64.9:9100/"


def test_prometheus_shows_its_certificate_only_where_one_is_asked_for(plan: Plan, two_hosts: Plan) -> None:
    pem = f"{PROMETHEUS}/metrics_tls.pem"
    assert pem not in rendered(plan, "vm1")
    files = rendered(two_hosts, "node2")
    assert files[pem].sensitive
    scrapes = json.loads(files[f"{PROMETHEUS}/prometheus.yml"].content or "")["scrape_configs"]
    (node,) = [each for each in scrapes if each["job_name"] == "aimesh-node"]
    assert node["tls_config"]["cert_file"] == pem


def test_alertmanager_tells_the_receiver_beside_it_on_their_own_network(two_hosts: Plan) -> None:
    services = project(two_hosts, "node2")["services"]
    assert services["alert-receiver"]["ports"], "the UI of another host asks it"
    assert set(services["alertmanager"]["networks"]) == {"mesh"}
    text = rendered(two_hosts, "node2")["/etc/aimesh/alertmanager/alertmanager.yml"].content or ""
    assert "http://172.29.64.8:9096/webhook" in text
    (job,) = [job for job in jobs(two_hosts) if job.name == "aimesh-alert-receiver"]
    assert [target.address for target in job.targets] == ["172.29.64.8:9096"]


def test_who_calls_another_host_can(two_hosts: Plan) -> None:
    services = project(two_hosts, "node2")["services"]
    assert [part for part in PARTS if "outside" in services[part]["networks"]] == ["blackbox-exporter", "prometheus"]


def test_each_part_sees_its_own_configuration_and_no_other_s(services: dict[str, Service]) -> None:
    folders = {part: {source for source in sources(services[part]) if source.startswith("/etc/")} for part in PARTS}
    assert {part: len(found) for part, found in folders.items()} == dict.fromkeys(PARTS, 1)
    assert len(set().union(*folders.values())) == len(PARTS)
    assert not any(mount.startswith("/etc/aimesh/credentials") for found in folders.values() for mount in found)


def test_only_data_can_be_written_and_only_by_whose_it_is(plan: Plan, services: dict[str, Service]) -> None:
    writable = {
        part: [mount["target"] for mount in services[part]["volumes"] if not mount.get("read_only")] for part in PARTS
    }
    kept = plan["monitoring"]["data_dirs"]
    assert writable == {part: [kept[part]] if part in kept else [] for part in PARTS}


def test_the_node_exporter_sees_of_the_host_the_folders_that_hold_data_and_enters_none(
    state: HostState, services: dict[str, Service]
) -> None:
    seen = {mount["source"] for mount in services["node-exporter"]["volumes"]} - {
        "/etc/aimesh/monitoring/node-exporter"
    }
    assert seen == {
        "/var/lib/aimesh",
        "/var/lib/aimesh-metrics",
        "/var/lib/aimesh/postgresql/17",
        "/var/lib/aimesh/redis",
        "/var/lib/aimesh-prometheus",
        "/var/lib/aimesh-alertmanager",
        "/var/lib/aimesh-alert-receiver",
    }
    modes = {folder.path: (folder.owner, folder.group, folder.mode) for folder in state.directories}
    closed = [path for path in seen if modes[path][2] in ("0700", "0750") and modes[path][1] != "10014"]
    assert set(closed) == {path for path in seen if not path.startswith("/var/lib/aimesh-")}


def test_the_node_exporter_says_nothing_of_a_network_that_is_not_the_host_s(services: dict[str, Service]) -> None:
    command = services["node-exporter"]["command"]
    assert "--collector.filesystem" in command
    assert "--collector.disable-defaults" in command
    assert not {"--collector.netdev", "--collector.netstat", "--collector.sockstat"} & set(command)


def test_data_outlives_a_removal_that_keeps_it(plan: Plan, state: HostState) -> None:
    kept = {folder.path: folder.owner for folder in state.directories if folder.keep}
    assert kept.pop(TEXTFILES) == "root", "what its exporter tells, others write"
    assert {kept[path] for path in plan["monitoring"]["data_dirs"].values()} == {"10014"}


def test_the_programs_that_can_take_a_new_configuration_by_a_signal_do(state: HostState) -> None:
    assert {part for part in PARTS if unit(state, part).reload} == set(RELOADING)


def test_targets_are_read_again_by_prometheus_and_restart_nothing(
    state: HostState, files: dict[str, RenderedFile]
) -> None:
    loaded = unit(state, "prometheus").files
    targets = [path for path in files if path.startswith(f"{PROMETHEUS}/targets/")]
    assert len(targets) == 14
    assert not set(targets) & set(loaded)
    assert {f"{PROMETHEUS}/prometheus.yml", f"{PROMETHEUS}/rules.yml"} <= set(loaded)


@pytest.mark.parametrize("change", ["release", "image", "replicas"])
def test_a_rollout_changes_no_unit_that_watches(tmp_path: Path, plan: Plan, change: str) -> None:
    before = fingerprints(plan)
    if change == "release":
        plan["release"] |= {"id": "1.0.1+deadbeef", "version": "1.0.1", "content": "deadbeef"}
    elif change == "image":
        plan["release"]["images"]["mesh-app"] |= {"reference": "aimesh/mesh-app:1.0.1-deadbeef"}
    else:
        (tmp_path / "scaled").mkdir()
        plan = site(tmp_path / "scaled", "mesh_scale: {registry: 3}")
        assert rendered(plan, "vm1")[f"{PROMETHEUS}/targets/aimesh-registry.json"].content
    assert watching(restarted(before, fingerprints(plan))) == set()


def test_a_new_threshold_reloads_prometheus_alone(plan: Plan) -> None:
    before = fingerprints(plan)
    plan["monitoring"]["thresholds"]["disk_free_ratio"] = 0.31
    assert restarted(before, fingerprints(plan)) == {"aimesh-prometheus"}


def test_a_new_secret_reaches_who_loads_it(plan: Plan) -> None:
    holders = {
        "db_monitor_password": {"aimesh-postgres-exporter"},
        "alert_token": {"aimesh-alert-receiver", "aimesh-alertmanager"},
    }
    for secret, units in holders.items():
        before = fingerprints(plan)
        plan["secrets"][secret] |= {"version": 2, "fingerprint": "ffffffffffffffff"}
        assert watching(restarted(before, fingerprints(plan))) == units


def test_candidates_are_checked_by_the_image_s_own_programs(plan: Plan) -> None:
    checks = {file.path: file.validate for file in render(plan, "vm1").files if file.validate}
    programs = {
        path: command[command.index("aimesh/monitoring:2.53.3-55555555") + 1 :]
        for path, command in checks.items()
        if "aimesh/monitoring:2.53.3-55555555" in command
    }
    assert programs == {
        f"{PROMETHEUS}/prometheus.yml": ("promtool", "check", "config", "--syntax-only", "/candidate"),
        f"{PROMETHEUS}/rules.yml": ("promtool", "check", "rules", "/candidate"),
        "/etc/aimesh/alertmanager/alertmanager.yml": ("amtool", "check-config", "/candidate"),
        "/etc/aimesh/monitoring/blackbox-exporter/blackbox.yml": (
            "/usr/bin/prometheus-blackbox-exporter", "--config.check", "--config.file=/candidate",
        ),
    }  # fmt: skip


def test_every_part_of_a_plan_has_its_way_to_run() -> None:
    assert set(monitoring.OWN) == set(PARTS)


GRAFANA = f"registry.example/grafana/grafana@sha256:{'e' * 64}"


@pytest.fixture
def with_grafana(plan: Plan) -> Plan:
    plan["monitoring"]["grafana"] = {"port": 3100, "bind": "127.0.0.1", "source": {"image": GRAFANA}}
    for name in ("grafana_admin_password", "grafana_secret_key"):
        plan["secrets"][name] = {"store": "vault", "name": name, "version": 1, "fingerprint": "f"}
    return plan


def test_grafana_is_there_when_the_inventory_says_where_it_comes_from(plan: Plan, with_grafana: Plan) -> None:
    state = render(with_grafana, "vm1")
    assert state.units[-1].name == "aimesh-grafana"
    assert [(image.name, image.reference, image.pull) for image in state.images][-1] == ("grafana", GRAFANA, True)
    service = project(with_grafana, "vm1")["services"]["grafana"]
    assert (service["image"], service["pull_policy"], service["user"]) == (GRAFANA, "missing", "472:472")
    assert "command" not in service
    assert [(port["host_ip"], port["published"]) for port in service["ports"]] == [("127.0.0.1", "3100")]
    writable = [mount["target"] for mount in service["volumes"] if not mount.get("read_only")]
    assert writable == ["/var/lib/grafana"]
    assert writable[0] in [folder.path for folder in state.directories if folder.keep]


def test_no_grafana_is_there_otherwise(plan: Plan, state: HostState) -> None:
    assert plan["monitoring"]["grafana"] is None
    assert "aimesh-grafana" not in [each.name for each in state.units]
    assert "grafana" not in [image.name for image in state.images]


def test_dashboards_are_read_again_by_grafana_and_restart_nothing(with_grafana: Plan) -> None:
    loaded = render(with_grafana, "vm1").units[-1].files
    assert "/etc/aimesh/grafana/grafana.ini" in loaded
    assert not [path for path in loaded if "/dashboards/" in path and "provisioning" not in path]

"""Monitoring of VMs: what watches the mesh, where it may be reached, what it may see, and what leaves it alone."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.action.rollout import _restarts, _uninstalled
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd import PRESET, render
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import HostState, Unit
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import parts_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import RenderedFile, unit_fingerprint
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.slot_paths import slot_paths
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.wanted import shared_units
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice
from monitoring_tools import tool

from .conftest import REPOSITORY, TEMPLATES, rendered, secret_value

SUITES = ("bookworm", "trixie")
TARGETS = "/etc/aimesh/prometheus/targets/"
PEM = "/etc/aimesh/prometheus/metrics_tls.pem"
WEB = "/etc/aimesh/monitoring/web.yml"

Plan = dict[str, Any]
Files = dict[str, RenderedFile]


def unit(files: Files, part: str) -> str:
    return files[f"/etc/systemd/system/aimesh-{part}.service"].content or ""


def command(files: Files, part: str) -> list[str]:
    """The words of a unit's command, as the program gets them but for `%d`."""
    (line,) = re.findall(r"^ExecStart=(.+)$", unit(files, part), re.MULTILINE)
    words = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
    return [each.replace("$$", "$").replace("%%", "%") for each in words]


def units(state: HostState) -> dict[str, Unit]:
    return {each.name.removeprefix("aimesh-"): each for each in state.units}


def fingerprints(plan: Plan, host: str = "vm1") -> dict[str, str]:
    identities = {path: file.identity for path, file in rendered(plan, host).items()}
    return {each.name: unit_fingerprint(each, identities) for each in render(plan, host).units}


def watching(plan: Plan, host: str = "vm1") -> set[str]:
    return {part["unit"] for part in parts_on(plan, host)}


def moved(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_every_part_of_the_plan_is_a_unit_that_listens_where_the_plan_says(plan: Plan, files: Files) -> None:
    for part in plan["monitoring"]["parts"]:
        words = command(files, part["part"])
        listens = " ".join(words).replace("=", " ").split(" ")
        assert listens[listens.index(f"{part['bind']}:{part['port']}") - 1].endswith(("listen-address", "--listen"))
        assert f"MemoryMax={part['memory_mb']}M\n" in unit(files, part["part"])


def test_debian_s_own_units_are_off_for_every_package_of_monitoring(state: HostState) -> None:
    (preset,) = [file.text or "" for file in state.package_files if file.path == PRESET]
    packages = [name for name in state.packages if name.startswith("prometheus")]
    assert len(packages) == 6
    assert [name for name in packages if f"disable {name}.service\n" not in preset] == []


def test_a_mesh_that_nothing_watches_has_none_of_it(plan: Plan) -> None:
    plan["monitoring"] = None
    state = render(plan, "vm1")
    assert [name for name in state.packages if name.startswith("prometheus")] == []
    assert [file.path for file in state.files if "/prometheus/" in file.path or "/monitoring/" in file.path] == []
    assert [each.name for each in state.units][-1] == "aimesh-haproxy"


def test_a_host_that_does_something_else_tells_of_itself_and_of_what_it_runs(three_hosts: Plan) -> None:
    assert watching(three_hosts, "node1") == {"aimesh-node-exporter"}
    assert watching(three_hosts, "node2") == {f"aimesh-{name}-exporter" for name in ("node", "postgres", "redis")}
    for host in three_hosts["hosts"]:
        assert watching(three_hosts, host) <= {each.name for each in render(three_hosts, host).units}
    state = render(three_hosts, "node3")
    assert "prometheus" in state.packages and "haproxy" not in state.packages and state.release is None


def test_an_exporter_beyond_prometheus_s_host_lets_in_only_who_has_the_mesh_s_certificate(three_hosts: Plan) -> None:
    files = rendered(three_hosts, "node2")
    web = json.loads(files[WEB].content or "")["tls_server_config"]
    assert web["client_auth_type"] == "RequireAndVerifyClientCert" and set(web.values()) >= {"metrics_tls"}
    for part in ("node-exporter", "postgres-exporter"):
        assert "--web.config.file=%d/web.yml" in command(files, part)
        assert "LoadCredential=metrics_tls:/etc/aimesh/credentials/metrics_tls\n" in unit(files, part)
        assert f"LoadCredential=web.yml:{WEB}\n" in unit(files, part)
    redis = command(files, "redis-exporter")
    for option in ("cert", "key", "ca-cert"):
        assert f"--tls-server-{option}-file=%d/metrics_tls" in redis


def test_on_prometheus_s_own_host_nothing_is_encrypted_and_nothing_listens_beyond_it(three_hosts: Plan) -> None:
    files = rendered(three_hosts, "node3")
    assert WEB not in files and "/etc/aimesh/credentials/metrics_tls" not in files
    assert "--web.listen-address=127.0.0.1:9100" in command(files, "node-exporter")


def test_prometheus_has_the_certificate_where_it_needs_one(three_hosts: Plan) -> None:
    files = rendered(three_hosts, "node3")
    assert (files[PEM].group, files[PEM].mode, files[PEM].sensitive) == ("prometheus", "0640", True)
    assert PEM in units(render(three_hosts, "node3"))["prometheus"].files
    assert PEM in (files["/etc/aimesh/prometheus/prometheus.yml"].content or "")


def test_a_mesh_of_one_host_has_no_certificate(files: Files) -> None:
    assert {PEM, WEB, "/etc/aimesh/credentials/metrics_tls"} & set(files) == set()


def test_what_answers_only_with_a_certificate_is_ready_when_its_port_is_open(three_hosts: Plan) -> None:
    ready = units(render(three_hosts, "node2"))["node-exporter"].ready
    assert ready is not None and ready.tcp == ("192.0.2.12", 9100) and ready.url is None
    central = units(render(three_hosts, "node3"))
    assert central["prometheus"].ready is not None
    assert central["prometheus"].ready.url == "http://127.0.0.1:9090/-/ready"


def test_passwords_reach_exporters_through_files_that_only_systemd_reads(files: Files) -> None:
    text = unit(files, "postgres-exporter")
    assert '\nEnvironment="DATA_SOURCE_USER=mesh_monitor"\n' in text
    assert '\nEnvironment="DATA_SOURCE_PASS_FILE=%d/db_monitor_password"\n' in text
    assert "LoadCredential=db_monitor_password:/etc/aimesh/credentials/db_monitor_password\n" in text
    assert "--redis.password-file=%d/redis_monitor.json" in command(files, "redis-exporter")
    passwords = json.loads(files["/etc/aimesh/credentials/redis_monitor.json"].content or "")
    assert set(passwords) == {"redis://127.0.0.1:6379", "redis://mesh_monitor@127.0.0.1:6379"}
    assert set(passwords.values()) == {secret_value("redis_monitor_password")}


def test_the_exporter_of_postgresql_asks_the_one_database_that_it_may(files: Files) -> None:
    assert '"DATA_SOURCE_URI=127.0.0.1:5432/postgres?sslmode=disable"' in unit(files, "postgres-exporter")


def test_prometheus_keeps_what_the_plan_says_and_cannot_be_stopped_over_http(plan: Plan) -> None:
    plan["monitoring"] |= {"retention_days": 40, "retention_mb": 9000}
    words = command(rendered(plan, "vm1"), "prometheus")
    assert {"--storage.tsdb.retention.time=40d", "--storage.tsdb.retention.size=9000MB"} <= set(words)
    assert "--storage.tsdb.path=/var/lib/aimesh-prometheus" in words
    assert not [word for word in words if word.startswith("--web.enable")]


def test_alertmanager_gossips_with_nobody(files: Files) -> None:
    assert "--cluster.listen-address=" in command(files, "alertmanager")


def test_the_receiver_of_alerts_is_a_user_of_its_own_and_its_program_is_ours(state: HostState, files: Files) -> None:
    assert "User=aimesh-alerts\n" in unit(files, "alert-receiver")
    assert "aimesh-alerts" in {user.name for user in state.users}
    words = command(files, "alert-receiver")
    assert words[:2] == ["/usr/bin/python3", "-I"]
    assert words[words.index("--token-file") + 1] == "%d/alert_token"
    (script,) = [word for word in words if word.endswith(".py")]
    compile(files[script].content or "", script, "exec")
    assert script in units(state)["alert-receiver"].files


def test_data_of_monitoring_outlives_a_removal_and_belongs_to_its_program(state: HostState, plan: Plan) -> None:
    kept = {folder.path: (folder.owner, folder.mode) for folder in state.directories if folder.keep}
    for part, path in plan["monitoring"]["data_dirs"].items():
        owner = "aimesh-alerts" if part == "alert-receiver" else "prometheus"
        assert kept[path] == (owner, "0750")


@pytest.mark.parametrize("part", ["prometheus", "alertmanager", "blackbox-exporter"])
def test_what_rereads_its_configuration_is_reloaded_after_its_own_program_looked_at_it(
    state: HostState, files: Files, part: str
) -> None:
    assert units(state)[part].reload
    first, second = re.findall(r"^ExecReload=(.+)$", unit(files, part), re.MULTILINE)
    assert "check" in first and second == "/bin/kill -HUP $MAINPID"


def test_files_are_checked_in_an_order_in_which_what_one_names_is_there_before(state: HostState) -> None:
    paths = [file.path for file in state.files]
    conf = paths.index("/etc/aimesh/prometheus/prometheus.yml")
    assert paths.index("/etc/aimesh/prometheus/rules.yml") < conf
    assert all(number < conf for number, path in enumerate(paths) if path.startswith(TARGETS))
    templates = paths.index("/etc/aimesh/alertmanager/templates/aimesh.tmpl")
    assert templates < paths.index("/etc/aimesh/alertmanager/alertmanager.yml")


@pytest.mark.parametrize("suite", SUITES)
def test_the_host_s_own_check_of_the_rules_accepts_them_and_can_refuse(
    state: HostState, tmp_path: Path, suite: str
) -> None:
    (file,) = [file for file in state.files if file.path.endswith("rules.yml")]
    assert file.validate[0] == "/usr/bin/promtool"
    candidate, codes = tmp_path / "rules.yml", []
    for text in (file.text or "", (file.text or "").replace("expr:", "expression:")):
        candidate.write_text(text)
        words = [str(tool("promtool", suite)), *(word.replace("{path}", str(candidate)) for word in file.validate[1:])]
        codes.append(subprocess.run(words, capture_output=True, timeout=30, check=False).returncode)
    assert codes[0] == 0 and codes[1] != 0


@pytest.mark.parametrize("suite", SUITES)
def test_every_flag_is_known_to_the_programs_of_both_debians(three_hosts: Plan, suite: str) -> None:
    for host in three_hosts["hosts"]:
        files = rendered(three_hosts, host)
        for part in parts_on(three_hosts, host):
            program, *flags = command(files, part["part"])
            if part["part"] == "alert-receiver":
                continue
            name = {"alertmanager": "alertmanager"}.get(part["part"], Path(program).name)
            said = subprocess.run(
                [tool(name, suite), "--help"], capture_output=True, text=True, timeout=30, check=False
            )
            known = set(re.findall(r"(?<![\w-])--?([a-z][\w.-]*)", said.stdout + said.stderr))
            used = {flag.lstrip("-").split("=")[0] for flag in flags}
            assert used <= known, f"{name} of {suite} does not know {used - known}"


def test_neither_an_update_nor_scaling_restarts_or_reloads_what_watches(plan: Plan) -> None:
    before, targets = fingerprints(plan), rendered(plan, "vm1")[f"{TARGETS}aimesh-registry.json"].content
    plan["release"]["id"] = "1.0.1+deadbeef"
    plan["instances"].append(plan["spares"].pop(1))
    assert moved(before, fingerprints(plan)) & watching(plan) == set()
    assert rendered(plan, "vm1")[f"{TARGETS}aimesh-registry.json"].content != targets


def test_a_threshold_reaches_prometheus_and_nothing_else(plan: Plan) -> None:
    """Negative control of the test above: a fingerprint that never moves would pass it too."""
    before = fingerprints(plan)
    plan["monitoring"]["thresholds"]["disk_free_ratio"] = 0.42
    assert moved(before, fingerprints(plan)) == {"aimesh-prometheus"}


def test_a_rollout_writes_the_targets_so_that_prometheus_knows_the_slots_that_come(plan: Plan) -> None:
    written = {path for path in rendered(plan, "vm1") if path not in slot_paths(plan, "vm1")}
    assert f"{TARGETS}aimesh-registry.json" in written


def part_of(plan: Plan, host: str = "vm1") -> Slice:
    return Slice(plan, host, TEMPLATES, REPOSITORY, check_mode=True, resolve=lambda _names: {})


def answer(plan: Plan) -> Plan:
    return {"units": {name: {"recorded": value} for name, value in fingerprints(plan).items()}}


def test_what_watches_is_not_shared_so_a_rollout_goes_on_when_it_differs(plan: Plan) -> None:
    assert set(shared_units(plan, part_of(plan))) == {"aimesh-redis"}
    seen = answer(plan)
    seen["units"]["aimesh-prometheus"]["recorded"] = "sha256:other"
    assert _restarts(plan, part_of(plan), seen) == [] and _uninstalled(plan, "vm1", seen) == []


def test_a_rollout_is_refused_when_redis_differs(plan: Plan) -> None:
    """Negative control of the test above."""
    seen = answer(plan)
    seen["units"]["aimesh-redis"]["recorded"] = "sha256:other"
    (sentence,) = _restarts(plan, part_of(plan), seen)
    assert "aimesh-redis would have to restart" in sentence


def test_a_rollout_is_refused_on_a_host_that_was_never_watched(plan: Plan) -> None:
    seen = answer(plan)
    seen["units"] = {name: found for name, found in seen["units"].items() if name not in watching(plan)}
    (sentence,) = _uninstalled(plan, "vm1", seen)
    assert "vm1 has no aimesh-node-exporter" in sentence and "site.yml" in sentence
    plan["monitoring"] = None
    assert _uninstalled(plan, "vm1", seen) == []


def test_only_the_exporter_of_the_host_sees_more_than_itself(files: Files, plan: Plan) -> None:
    wide = {
        part["part"] for part in plan["monitoring"]["parts"] if "ProtectProc=default\n" in unit(files, part["part"])
    }
    assert wide == {"node-exporter"}
    for part in plan["monitoring"]["parts"]:
        text = unit(files, part["part"])
        assert "\nCapabilityBoundingSet=\n" in text and "\nProtectSystem=strict\n" in text


@pytest.fixture
def with_grafana(plan: Plan) -> Plan:
    source = {
        "apt_repository": "https://packages.acme.example/grafana",
        "apt_key": "-----BEGIN PGP PUBLIC KEY BLOCK-----",
    }
    plan["monitoring"]["grafana"] = {"port": 3100, "bind": "127.0.0.1", "source": source}
    for name in ("grafana_admin_password", "grafana_secret_key"):
        plan["secrets"][name] = plan["secrets"]["alert_token"] | {"name": name}
    return plan


def test_grafana_comes_from_the_repository_of_the_inventory_and_not_without_one(
    with_grafana: Plan, state: HostState
) -> None:
    watched = render(with_grafana, "vm1")
    (source,) = [file.text or "" for file in watched.package_files if file.path.endswith("grafana.sources")]
    assert "URIs: https://packages.acme.example/grafana\n" in source
    assert "grafana" in watched.packages and "grafana-server" in {unit.name for unit in watched.units}
    plan = with_grafana | {"monitoring": with_grafana["monitoring"] | {"grafana": None}}
    assert "grafana" not in render(plan, "vm1").packages


def test_grafana_is_on_the_monitoring_host_alone(three_hosts: Plan) -> None:
    three_hosts["monitoring"]["grafana"] = {
        "port": 3100,
        "bind": "127.0.0.1",
        "source": {"apt_repository": "https://packages.acme.example", "apt_key": "/key"},
    }
    having = [host for host in three_hosts["hosts"] if "grafana" in render(three_hosts, host).packages]
    assert having == ["node3"]


def test_grafana_restarts_for_its_settings_and_not_for_a_dashboard(with_grafana: Plan) -> None:
    (grafana,) = [unit for unit in render(with_grafana, "vm1").units if unit.name == "grafana-server"]
    files = {path for path in rendered(with_grafana, "vm1") if path.startswith("/etc/grafana/")}
    assert files - set(grafana.files) == {path for path in files if "/etc/grafana/dashboards/" in path}
    assert grafana.ready is not None and grafana.ready.url == "http://127.0.0.1:3100/api/health"


def test_grafana_stands_in_the_way_of_no_rollout(with_grafana: Plan) -> None:
    assert "grafana-server" not in shared_units(with_grafana, part_of(with_grafana))

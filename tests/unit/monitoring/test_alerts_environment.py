"""The UI of a monitored mesh is told where alerts are; no other service, and no mesh without monitoring."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers import compose, systemd
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import (
    Locations,
    credential_names,
    operator_credentials,
    operator_environment,
    service_credentials,
    service_environment,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import RenderedFile, render_files

ROOT = Path(__file__).resolve().parents[3]
WHERE = Locations(lambda name: f"/credentials/{name}", "/policy", "/peers", "/mcp")
TOKEN = "canary-alert-token-0123456789abcdef0123456789abcdef"
SERVICES = ("api-gateway", "registry", "telemetry", "policy", "federation")


def plan_of(fixture: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / f"tests/fixtures/plan_{fixture}.json").read_text())
    found.pop("monitoring", None)
    return found


def monitored(plan: dict[str, Any], host: str = "vm1", bind: str = "127.0.0.1", address: str = "") -> dict[str, Any]:
    """The same mesh with an alert receiver."""
    found = copy.deepcopy(plan)
    part = {"part": "alert-receiver", "host": host, "bind": bind, "port": 9096, "address": address or f"{bind}:9096"}
    others = {"part": "alertmanager", "host": host, "bind": bind, "port": 9093, "address": f"{bind}:9093"}
    found["monitoring"] = {"host": host, "parts": [others, part]}
    found["secrets"]["alert_token"] = found["secrets"]["service_token"] | {"name": "alert_token"}
    return found


def environment(plan: dict[str, Any], service: str) -> dict[str, str]:
    instance = next(instance for instance in plan["instances"] if instance["service"] == service)
    return service_environment(plan, instance, WHERE)


def alerts_of(found: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if "ALERT" in name}


@pytest.mark.parametrize("fixture", ["small", "compose"])
def test_the_ui_and_the_operator_are_told_and_nobody_else(fixture: str) -> None:
    plan = monitored(plan_of(fixture))
    told = {"MESH_ALERTS_URL": "http://127.0.0.1:9096", "MESH_ALERT_TOKEN_FILE": "/credentials/alert_token"}
    assert alerts_of(environment(plan, "ui")) == told
    assert alerts_of(operator_environment(plan, "vm1", WHERE)) == told
    assert "alert_token" in credential_names(service_credentials(plan, "ui"))
    assert "alert_token" in credential_names(operator_credentials(plan))
    for service in SERVICES:
        assert alerts_of(environment(plan, service)) == {}
        assert "alert_token" not in credential_names(service_credentials(plan, service))


@pytest.mark.parametrize("fixture", ["small", "compose", "local"])
@pytest.mark.parametrize("nothing", [{}, {"monitoring": None}])
def test_without_monitoring_nothing_changes(fixture: str, nothing: dict[str, Any]) -> None:
    plan = plan_of(fixture)
    host = next(iter(plan["hosts"]))
    found = [environment(plan | nothing, service) for service in (*SERVICES, "ui")]
    assert [alerts_of(each) for each in [*found, operator_environment(plan | nothing, host, WHERE)]] == [{}] * 7
    assert "alert_token" not in credential_names(operator_credentials(plan | nothing))
    with_alerts = environment(monitored(plan, host), "ui")
    assert {name: value for name, value in with_alerts.items() if "ALERT" not in name} == environment(plan, "ui")


def test_a_receiver_on_another_host_is_reached_by_its_address() -> None:
    plan = monitored(plan_of("small"), "node2", bind="172.30.5.8", address="192.0.2.12:9096")
    assert environment(plan, "ui")["MESH_ALERTS_URL"] == "http://192.0.2.12:9096"


def test_a_receiver_on_the_same_host_is_reached_where_it_listens() -> None:
    plan = monitored(plan_of("small"), "vm1", bind="172.30.5.8", address="192.0.2.11:9096")
    assert environment(plan, "ui")["MESH_ALERTS_URL"] == "http://172.30.5.8:9096"


def rendered(driver: Any, platform: str) -> dict[str, RenderedFile]:
    plan = json.loads((ROOT / f"tests/fixtures/plan_{'small' if platform == 'systemd' else platform}.json").read_text())
    state = driver.render(plan, "vm1")
    values = dict.fromkeys(plan["secrets"], "another-secret-0123456789abcdef0123456789abcdef") | {"alert_token": TOKEN}
    files = render_files(state.files, plan, "vm1", ROOT / f"roles/platform_{platform}/templates", values)
    return {file.path: file for file in files}


def test_the_unit_of_the_ui_loads_the_token_and_holds_none() -> None:
    files = rendered(systemd, "systemd")
    text = files["/etc/systemd/system/aimesh-ui@a.service"].content or ""
    assert '"MESH_ALERTS_URL=http://127.0.0.1:9096"' in text
    assert '"MESH_ALERT_TOKEN_FILE=%d/alert_token"' in text
    assert "LoadCredential=alert_token:/etc/aimesh/credentials/alert_token" in text
    holders = [path for path, file in files.items() if TOKEN in (file.content or "")]
    assert holders == ["/etc/aimesh/credentials/alert_token", "/etc/aimesh/alertmanager/alertmanager.yml"]
    assert [files[path].mode for path in holders] == ["0600", "0640"]


def test_the_container_of_the_ui_mounts_the_token_and_that_of_the_registry_does_not() -> None:
    files = rendered(compose, "compose")
    naming = {
        Path(path).name.removesuffix(".yaml") for path, file in files.items() if "alert_token" in (file.content or "")
    }
    assert naming == {"ui-a", "admin"}, "the UI and the command of the operator"

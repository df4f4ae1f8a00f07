from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring import grafana
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.grafana import (
    GrafanaPlace,
    apt_files,
    contained,
    grafana_directories,
    grafana_files,
    packaged,
    secret_names,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import RenderedFile, render_files

from .dashboard_plans import compose_plan, small_plan

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQGNBGTnhmkBDADUE\n-----END PGP PUBLIC KEY BLOCK-----\n"
PACKAGE = {"apt_repository": "https://apt.grafana.example", "apt_key": KEY}
IMAGE = {"image": "registry.acme.example/grafana/grafana:11.6.1"}


def vm_plan(**changes: Any) -> dict[str, Any]:
    return small_plan({"port": 3100, "bind": "127.0.0.1", "source": PACKAGE} | changes)


def container_plan() -> dict[str, Any]:
    return compose_plan({"port": 3100, "bind": "172.29.64.9", "source": IMAGE})


def with_tls(plan: dict[str, Any]) -> dict[str, Any]:
    prometheus = next(part for part in plan["monitoring"]["parts"] if part["part"] == "prometheus")
    prometheus |= {"tls": True, "address": "192.0.2.10:9090"}
    return plan


def rendered(plan: dict[str, Any], place: GrafanaPlace) -> dict[str, RenderedFile]:
    """Path → file as the host gets it, with a recognisable value for each secret."""
    values = {name: f"canary-{name}" for name in secret_names(plan)}
    files = render_files([*grafana_files(plan, place)], plan, plan["monitoring"]["host"], Path(), values)
    return {file.path: file for file in files}


def content(plan: dict[str, Any], place: GrafanaPlace, name: str) -> str:
    return rendered(plan, place)[f"{place.folder}/{name}"].content or ""


def ini(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.read_string(text)
    return parser


def open_doors(settings: configparser.ConfigParser) -> list[str]:
    """Settings by which somebody comes in uninvited or something goes out unasked."""
    closed = {
        ("auth.anonymous", "enabled"): "false",
        ("users", "allow_sign_up"): "false",
        ("users", "allow_org_create"): "false",
        ("analytics", "reporting_enabled"): "false",
        ("analytics", "check_for_updates"): "false",
        ("analytics", "check_for_plugin_updates"): "false",
        ("snapshots", "external_enabled"): "false",
        ("plugins", "plugin_admin_enabled"): "false",
        ("plugins", "preinstall_disabled"): "true",
        ("security", "disable_gravatar"): "true",
    }
    found = [f"{section}.{name}" for (section, name), value in closed.items() if settings.get(section, name) != value]
    security = settings["security"]
    named = [name for name in ("admin_password", "secret_key") if not security[name].startswith("$__file{/")]
    return [*found, *(f"security.{name}" for name in named)]


def test_grafana_listens_where_the_plan_says_and_nobody_comes_in_uninvited() -> None:
    settings = ini(content(vm_plan(), packaged(vm_plan()), "grafana.ini"))
    assert (settings["server"]["http_addr"], settings["server"]["http_port"]) == ("127.0.0.1", "3100")
    assert open_doors(settings) == []
    other = ini(
        content(vm_plan(bind="192.0.2.10", port=3200), packaged(vm_plan(bind="192.0.2.10", port=3200)), "grafana.ini")
    )
    assert (other["server"]["http_addr"], other["server"]["http_port"]) == ("192.0.2.10", "3200")


@pytest.mark.parametrize(
    ("right", "wrong", "door"),
    [
        ("[auth.anonymous]\nenabled = false", "[auth.anonymous]\nenabled = true", "auth.anonymous.enabled"),
        ("allow_sign_up = false", "allow_sign_up = true", "users.allow_sign_up"),
        ("reporting_enabled = false", "reporting_enabled = true", "analytics.reporting_enabled"),
        ("admin_password = $__file{", "admin_password = admin{", "security.admin_password"),
    ],
)
def test_an_open_door_is_found(right: str, wrong: str, door: str) -> None:
    text = content(vm_plan(), packaged(vm_plan()), "grafana.ini")
    assert right in text
    assert open_doors(ini(text.replace(right, wrong))) == [door]


def test_a_secret_is_in_its_own_file_and_in_no_other() -> None:
    files = rendered(with_tls(vm_plan()), packaged(vm_plan()))
    for name in ("grafana_admin_password", "grafana_secret_key", "metrics_tls"):
        holders = [path for path, file in files.items() if f"canary-{name}" in (file.content or "")]
        assert holders == [f"/etc/grafana/credentials/{name}"]


def test_grafana_reads_each_credential_where_the_host_has_it() -> None:
    files = rendered(vm_plan(), packaged(vm_plan()))
    security = ini(files["/etc/grafana/grafana.ini"].content or "")["security"]
    for name in ("admin_password", "secret_key"):
        assert security[name].removeprefix("$__file{").removesuffix("}") in files


@pytest.mark.parametrize(
    ("plan", "place"), [(vm_plan(), packaged(vm_plan())), (container_plan(), contained(container_plan()))]
)
def test_only_root_writes_grafanas_files_and_only_grafana_reads_them(plan: dict[str, Any], place: GrafanaPlace) -> None:
    for made in (*grafana_files(plan, place), *grafana_directories(place)):
        assert (made.owner, made.group) == ("root", place.group)
        assert made.mode in ("0640", "0750")


@pytest.mark.parametrize(
    ("plan", "place"), [(vm_plan(), packaged(vm_plan())), (container_plan(), contained(container_plan()))]
)
def test_every_file_lies_in_a_directory_that_is_made_before(plan: dict[str, Any], place: GrafanaPlace) -> None:
    directories = [directory.path for directory in grafana_directories(place)]
    assert {str(Path(file.path).parent) for file in grafana_files(plan, place)} == set(directories) - {
        f"{place.folder}/provisioning"
    }
    for at, path in enumerate(directories[1:], 1):
        assert str(Path(path).parent) in directories[:at]


def test_the_data_source_is_the_one_that_every_dashboard_names_and_nobody_edits_it() -> None:
    plan = vm_plan()
    [source] = yaml.safe_load(content(plan, packaged(plan), "provisioning/datasources/aimesh.yaml"))["datasources"]
    assert (source["type"], source["access"], source["editable"], source["isDefault"]) == (
        "prometheus",
        "proxy",
        False,
        True,
    )
    assert source["url"] == "http://127.0.0.1:9090"
    assert source["jsonData"]["timeInterval"] == "15s"
    boards = [
        json.loads(file.text or "")
        for file in grafana_files(plan, packaged(plan))
        if "/dashboards/aimesh-" in file.path
    ]
    assert len(boards) == 8
    named = {panel["datasource"]["uid"] for board in boards for panel in board["panels"] if panel["type"] != "row"}
    assert named == {source["uid"]} == {"aimesh-prometheus"}


def test_a_prometheus_with_tls_is_asked_with_a_certificate_and_knows_its_own() -> None:
    plan = with_tls(vm_plan())
    text = content(plan, packaged(plan), "provisioning/datasources/aimesh.yaml")
    [source] = yaml.safe_load(text)["datasources"]
    assert source["url"] == "https://192.0.2.10:9090"
    assert (source["jsonData"]["tlsAuth"], source["jsonData"]["serverName"]) == (True, "aimesh-metrics")
    assert set(source["secureJsonData"]) == {"tlsCACert", "tlsClientCert", "tlsClientKey"}
    assert set(source["secureJsonData"].values()) == {"$__file{/etc/grafana/credentials/metrics_tls}"}
    assert "tls" not in content(vm_plan(), packaged(vm_plan()), "provisioning/datasources/aimesh.yaml")


def test_dashboards_come_from_the_files_alone() -> None:
    [provider] = yaml.safe_load(content(vm_plan(), packaged(vm_plan()), "provisioning/dashboards/aimesh.yaml"))[
        "providers"
    ]
    assert (provider["type"], provider["disableDeletion"], provider["allowUiUpdates"]) == ("file", True, False)
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    home = ini(content(vm_plan(), packaged(vm_plan()), "grafana.ini"))["dashboards"]["default_home_dashboard_path"]
    assert home in rendered(vm_plan(), packaged(vm_plan()))


def test_a_container_finds_what_the_host_keeps_in_the_mesh_s_own_folder() -> None:
    plan = container_plan()
    place = contained(plan)
    files = rendered(plan, place)
    assert all(path.startswith("/etc/aimesh/grafana/") for path in files)
    inside = {path.replace("/etc/aimesh/grafana", "/etc/grafana", 1) for path in files}
    settings = ini(content(plan, place, "grafana.ini"))
    assert settings["dashboards"]["default_home_dashboard_path"] in inside
    assert settings["security"]["admin_password"] == "$__file{/etc/grafana/credentials/grafana_admin_password}"
    assert settings["server"]["http_addr"] == "0.0.0.0"


def test_the_vendor_s_repository_is_trusted_for_its_own_key_alone() -> None:
    [source] = apt_files(vm_plan())
    assert source.path == grafana.APT_SOURCE
    assert source.text == (
        "Types: deb\nURIs: https://apt.grafana.example\nSuites: stable\nComponents: main\nSigned-By:\n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQGNBGTnhmkBDADUE\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    there = {"apt_repository": "https://apt.grafana.example", "apt_key": "/usr/share/keyrings/grafana.gpg"}
    [source] = apt_files(vm_plan(source=there))
    assert (source.text or "").endswith("\nSigned-By: /usr/share/keyrings/grafana.gpg\n")


def test_the_same_plan_gives_the_same_files() -> None:
    assert grafana_files(vm_plan(), packaged(vm_plan())) == grafana_files(vm_plan(), packaged(vm_plan()))
